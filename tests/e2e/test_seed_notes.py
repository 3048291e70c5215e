"""The user's notes, held against a first boot: each step is in the log, in the notes' order, and
their commands that look at a machine or ask the wire server print what they say. Where 2.15 speaks
otherwise than their 2.2.14, its words count (ARCHITECTURE.md decision 14). Not run: Python that
imports the other agent, what needs Hyper-V's bus or dhclient, what changes the machine.
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

# Theirs, letter by letter, but for the URL: they end in one machine's own identifiers.
CURL = (
    "curl -s -H 'User-Agent: WALinuxAgent/FlexibleVersion ('2.2.14', '.', ('alpha', 'beta', 'rc'))'"
)
CURL_ASKS = f"{CURL} -H 'x-ms-version:2012-11-30' -H 'x-ms-agent-name:WALinuxAgent'"
WIRE = "http://168.63.129.16"

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


def ask(guest: Guest, command: str) -> str:
    """What a line of the notes prints in a shell of the guest."""
    program = command.split(maxsplit=1)[0]
    if guest.run("which", program).code:
        pytest.skip(f"{program} is not installed")
    done = guest.run("sh", "-c", command)
    assert done.code == 0, done.output
    return done.output


def test_curl_of_the_notes_is_told_the_protocol_version(booted: Guest) -> None:
    """Their line lacks its last quotation mark, as it was copied from a log that cuts it."""
    answer = ask(booted, f"{CURL} {WIRE}/?comp=versions")
    assert "<Version>2012-11-30</Version>" in answer


def test_curl_of_the_notes_is_given_the_goal_state_that_lies_in_its_file(booted: Guest) -> None:
    answer = ask(booted, f"{CURL_ASKS} {WIRE}/machine/?comp=goalstate")
    assert answer.startswith("<?xml")
    assert answer == booted.read(f"{LIB}/GoalState.1.xml")


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ("HostingEnvironmentConfig", "HostingEnvironmentConfig.xml"),
        ("SharedConfig", "SharedConfig.xml"),
        ("ExtensionsConfig", "ExtensionsConfig.1.xml"),
    ],
)
def test_curl_of_the_notes_is_given_the_document_that_lies_in_its_file(
    booted: Guest, element: str, name: str
) -> None:
    """The URL stands in the goal state: container and instance escaped as in the notes."""
    text = booted.read(f"{LIB}/GoalState.1.xml")
    found = re.search(rf"<{element}>([^<]+)</{element}>", text)
    assert found, f"the goal state has no {element}"
    url = found.group(1).replace("&amp;", "&")
    assert re.search(
        r"/machine/[0-9a-f-]+/\S+%2D\S+%5F\S+\?comp=config&type=\w+&incarnation=1", url
    )
    answer = ask(booted, f"{CURL_ASKS} '{url}'")
    assert f"<{'Extensions' if element == 'ExtensionsConfig' else element} " in answer
    assert _unsigned(answer) == _unsigned(booted.read(f"{LIB}/{name}"))


def _unsigned(text: str) -> str:
    """A document as it may lie on a disk: line ends and the last of them do not matter."""
    return "\n".join(text.split())


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("cat /var/lib/waagent/Protocol", r"WireProtocol"),
        ("cat /var/lib/waagent/WireServerEndpoint", r"168\.63\.129\.16"),
        ("cat /var/lib/waagent/published_hostname", r"fabric-vm"),
        ("cat /etc/hostname", r"fabric-vm"),
        ("hostname", r"fabric-vm"),
        ("cat /etc/sudoers.d/waagent", rf"{USER} ALL=\(ALL\) ALL"),
        ("cat /proc/net/route", r"(?s).*\beth0\s+(10813FA8|00000000)\s.*"),
        ("ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub", r"\d+ SHA256:\S+ .* \(RSA\)"),
    ],
)
def test_command_of_the_notes_prints_what_they_say(
    booted: Guest, command: str, pattern: str
) -> None:
    assert re.fullmatch(pattern, ask(booted, command).strip())


def test_fingerprint_of_the_host_key_is_the_one_in_the_log(booted: Guest) -> None:
    """Where it has no colon: the reference says it so to the fabric, and to the log."""
    printed = ask(booted, "ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub").split()[1]
    assert f"The fingerprint of the host key is {printed.replace(':', '', 1)}" in booted.read(LOG)


def test_pid_file_names_the_running_daemon(booted: Guest) -> None:
    pid = int(ask(booted, "cat /var/run/waagent.pid"))
    assert booted.processes[pid][1].endswith("waagent -daemon")


def test_provisioned_holds_the_id_that_the_firmware_shows(booted: Guest) -> None:
    """In the fabric's order of bytes, where the firmware swaps those of the first three groups."""
    shown = ask(booted, "cat /sys/class/dmi/id/product_uuid").strip().lower()
    kept = ask(booted, "cat /var/lib/waagent/provisioned").strip().lower()
    assert kept in (shown, booted.vm.identity.vm_id)


def test_custom_data_is_kept_as_it_came(booted: Guest) -> None:
    command = "base64 -d /var/lib/waagent/CustomData"
    assert ask(booted, command) == Wish().custom_data.decode()
