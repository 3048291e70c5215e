"""The user's notes, held against a first boot: each step is in the log, in the notes' order.

Where 2.15 speaks otherwise than the notes' 2.2.14, its words count (ARCHITECTURE.md decision 14).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.demo.guest import Guest
from tests.e2e.facts import LIB, USER, Wish
from tests.e2e.kills import await_true
from tests.fabric import ECHO

pytestmark = pytest.mark.root

LOG = "/var/log/waagent.log"
CONF = {"Provisioning.DeleteRootPassword": "y", "ResourceDisk.Format": "n"}
XMLLINT = (
    'cd /var/lib/waagent && echo "cat //StatusUploadBlob/text()"|xmllint --shell'
    " ExtensionsConfig.1.xml|sed 's/\\$system.*//g'|sed '1d;$d'"
)

# The notes' step, and what the log says when it happens; in the notes' order but for the eject,
# which waits until account and password exist (decision 9).
STEPS = (
    ("agent version", r"Azure Linux Agent Version: \d+\.\d+\.\d+\.\d+"),
    ("OS version", r"OS: \w+ \d+"),
    ("Python version", r"Python: 3\.\d+\.\d+"),
    ("pid file", r"Process \d+ is in /(var/)?run/waagent\.pid"),
    ("FIPS", r"FIPS mode is off"),
    ("lib directory", r"Working in /var/lib/waagent"),
    ("SCVMM", r"DetectScvmmEnv is off"),
    ("resource disk", r"(?i)resource disk"),
    ("clean protocol", r"Clean protocol and wireserver endpoint"),
    ("is provisioning enabled", r"Provisioning\.Agent is auto"),
    ("is it provisioned already", r"This machine is not provisioned yet"),
    ("is cloud-init running", r"cloud-init is enabled: False"),
    ("provisioning handler", r"Running default provisioning handler"),
    ("copy OVF environment", r"Copying ovf-env\.xml"),
    ("mount DVD", r"Successfully mounted dvd"),
    ("unmount DVD", r"Unmounted dvd"),
    ("detect protocol by file", r"Detect protocol by file"),
    ("detect endpoint", r"Detect protocol endpoint"),
    ("check route table", r"Test for route to 168\.63\.129\.16"),
    ("check DHCP lease", r"Checking for dhcp lease cache"),
    ("build DHCP request", r"Send dhcp request"),
    ("wire API version", r"Wire protocol version:2012-11-30"),
    ("update goal state", r"Initializing goal state during protocol detection"),
    ("update certificates", r"Downloaded certificate \{'thumbprint': '[0-9A-F]{40}'"),
    ("report Provisioning: Starting", r"Starting provisioning"),
    ("set host name", r"Set hostname \[fabric-vm\]"),
    ("publish host name", r"Publish hostname \[fabric-vm\]"),
    ("add user", r"Create user account if not exists"),
    ("modify the password", r"Set user password"),
    ("configure sudoers", r"Configure sudoer"),
    ("password login", r"(Dis|En)abled SSH password-based authentication methods"),
    ("client interval", r"Configured SSH client probing to keep connections alive"),
    ("deploy public key", r"Deploy ssh public key"),
    ("eject DVD", r"Eject /dev/sr0"),
    ("save custom data", r"Save custom data"),
    ("delete root password", r"Delete root password"),
    ("host key fingerprint", r"The fingerprint of the host key is SHA256\S+"),
    ("provisioning complete", r"Provisioning complete"),
    ("report Ready", r"Reported Ready to the fabric"),
    ("RDMA", r"RDMA capabilities are not enabled, skipping"),
    ("latest agent", r"Agent WALinuxAgent-\S+ (is the most current|to be the latest) agent"),
    ("run child process", r"launched with command '.* -run-exthandlers' is successfully running"),
    ("child: goal state agent", r"Azure Linux Agent \(Goal State Agent version "),
    ("child: extensions", r"ProcessExtensionsGoalState started \[incarnation_1 "),
    ("child: heartbeat", r"\[HEARTBEAT\] Agent WALinuxAgent-\S+ is running"),
)


@pytest.fixture(scope="module")
def booted() -> Iterator[Guest]:
    """A guest after its first boot, found by DHCP."""
    wish = Wish()
    with Guest(wish.vm(), wish.media(), conf=CONF) as guest:
        guest.start_daemon()
        guest.fabric.await_ready()
        guest.fabric.await_extension(ECHO, seq_no=0)
        await_true(lambda: "[HEARTBEAT]" in guest.read(LOG), "the child's first heartbeat")
        yield guest


def test_each_step_of_the_notes_is_in_the_log_in_their_order(booted: Guest) -> None:
    lines = booted.read(LOG).splitlines()
    position = 0
    for step, pattern in STEPS:
        found = [n for n, line in enumerate(lines) if re.search(pattern, line)]
        assert found, f"{step}: nothing in the log is like {pattern!r}"
        later = [n for n in found if n >= position]
        assert later, f"{step}: only before the step that the notes have before it"
        position = later[0] + 1


def test_starting_is_reported_before_ready(booted: Guest) -> None:
    text = booted.read(LOG)
    assert 0 < text.index("Reported NotReady/Provisioning") < text.index("Reported Ready")
    states = [report.state for report in booted.fabric.world.received.health]
    assert states == ["NotReady", "Ready"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Protocol", r"WireProtocol"),
        ("WireServerEndpoint", r"168\.63\.129\.16"),
        ("Incarnation", r"1"),
        ("GoalState.1.xml", r"(?s).*<GoalState\b.*<Incarnation>1</Incarnation>.*"),
        ("ExtensionsConfig.1.xml", r"(?s).*<Extensions\b.*StatusUploadBlob.*"),
        ("HostingEnvironmentConfig.xml", r"(?s).*<HostingEnvironmentConfig\b.*"),
        ("SharedConfig.xml", r"(?s).*<SharedConfig\b.*"),
        (f"{ECHO}.1.manifest.xml", r"(?s).*<PluginVersionManifest\b.*"),
        ("TransportCert.pem", r"(?s)-----BEGIN CERTIFICATE-----.*"),
        ("TransportPrivate.pem", r"(?s)-----BEGIN (RSA )?PRIVATE KEY-----.*"),
        ("Certificates.pem", r"(?s).*-----BEGIN CERTIFICATE-----.*"),
        ("ovf-env.xml", rf"(?s).*<UserName>{USER}</UserName>.*<UserPassword>\*</UserPassword>.*"),
        ("published_hostname", r"fabric-vm"),
        ("provisioned", r"[0-9A-Fa-f-]{36}"),
        ("CustomData", r"[A-Za-z0-9+/=]+"),
    ],
)
def test_file_that_the_notes_look_at_is_there(booted: Guest, name: str, pattern: str) -> None:
    assert re.fullmatch(pattern, booted.read(f"{LIB}/{name}"))


def test_line_of_the_notes_prints_where_the_status_goes(booted: Guest) -> None:
    """Theirs, letter by letter: it cuts the URL where its path begins."""
    if booted.run("which", "xmllint").code:
        pytest.skip("xmllint is not installed; the package is libxml2-utils")
    done = booted.run("sh", "-c", XMLLINT)
    assert done.output.strip() == "http://fabricstore.blob.core.windows.net/"


def test_status_blob_stands_in_the_file_with_its_signature(booted: Guest) -> None:
    """It is what the notes' line is for; the file is root's alone."""
    text = booted.read(f"{LIB}/ExtensionsConfig.1.xml")
    assert re.search(r"<StatusUploadBlob\b[^>]*>https?://[^<]+\?[^<]*sig=", text)
    assert booted.mode(f"{LIB}/ExtensionsConfig.1.xml") == 0o600


def test_sudoers_and_sshd_are_as_the_notes_say(booted: Guest) -> None:
    assert booted.read("/etc/sudoers.d/waagent") == f"{USER} ALL=(ALL) ALL\n"
    assert "ClientAliveInterval 180" in booted.read("/etc/ssh/sshd_config").splitlines()
    assert booted.read("/etc/hostname") == "fabric-vm\n"
    assert booted.exists("/etc/ssh/ssh_host_rsa_key.pub")
