"""The guest is a view of this machine that nothing leaves, and that is gone when it is told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.blocks import held_images
from tests.demo.guest import Guest, swap_bytes
from tests.demo.plan import CHECKOUT
from tests.demo.process import GuestFailed
from tests.fabric.media import OvfMedia

pytestmark = pytest.mark.root

FETCH = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"
DYING = """
import os, signal
from tests.demo.guest import Guest
with Guest() as guest:
    guest.start("sleep", "1000")
    print(guest.pid, guest._folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    """One for all tests that only look."""
    with Guest(media=OvfMedia(user="ada", password="not on the disk")) as made:
        yield made


def test_guest_has_namespaces_of_its_own(guest: Guest) -> None:
    for kind in ("mnt", "net", "pid", "ipc", "uts"):
        ours = str(Path(f"/proc/self/ns/{kind}").readlink())
        assert guest.run("readlink", f"/proc/self/ns/{kind}").output.strip() != ours


def test_guest_reaches_the_fabric_at_its_real_addresses(guest: Guest) -> None:
    versions = guest.run(sys.executable, "-c", FETCH, "http://168.63.129.16/?comp=versions")
    assert "2012-11-30" in versions.output
    host = guest.fabric.world.addresses.storage
    url = f"http://{host}/manifests0/Fabric.Test.Echo_manifest.xml"
    assert "PluginVersionManifest" in guest.run(sys.executable, "-c", FETCH, url).output


def test_guest_reaches_nothing_else(guest: Guest) -> None:
    assert guest.run("ip", "-brief", "link", "show").output.count("\n") == 2  # lo and the cable
    assert guest.run("ip", "route", "get", "192.0.2.1").output.startswith("192.0.2.1 via 10.0.0.1")


def test_what_the_guest_writes_is_seen_in_the_guest_only(guest: Guest) -> None:
    before = Path("/etc/passwd").read_bytes()
    name = socket.gethostname()
    script = "echo x:x:1:1::/:/x >>/etc/passwd; rm /etc/shadow; hostname other; touch /etc/new"
    assert guest.run("sh", "-c", script).code == 0
    assert guest.read("/etc/passwd").endswith("x:x:1:1::/:/x\n")
    assert not guest.exists("/etc/shadow")
    assert Path("/etc/passwd").read_bytes() == before
    assert Path("/etc/shadow").exists()
    assert not Path("/etc/new").exists()
    assert socket.gethostname() == name
    assert {"passwd", "new"} <= {p.name for p in (guest.written / "etc").iterdir()}


def test_guest_cannot_change_the_kernel_or_reach_the_disks(guest: Guest) -> None:
    for command in (
        "echo 1 >/proc/sys/kernel/panic",
        "echo b >/proc/sysrq-trigger",
        "touch /sys/new",
        "mknod /run/disk b 8 0",
        "date -s 2001-01-01",
    ):
        assert guest.run("sh", "-c", command).code != 0, command


def test_media_can_be_mounted_again_and_again_until_it_is_ejected(guest: Guest) -> None:
    mount = "mkdir -p /mnt/cd && mount -o ro -t udf,iso9660,vfat /dev/sr0 /mnt/cd"
    script = f"{mount} && cat /mnt/cd/ovf-env.xml && umount /mnt/cd"
    for _ in range(2):
        assert "<UserName>ada</UserName>" in guest.run("sh", "-c", script).output
    assert guest.run("eject", "/dev/sr0").code == 0
    assert guest.run("sh", "-c", script).code != 0


def test_firmware_names_the_machine_that_azure_knows(guest: Guest) -> None:
    seen = guest.read("/sys/class/dmi/id/product_uuid").strip()
    assert seen == swap_bytes(guest.vm.identity.vm_id)
    assert swap_bytes(seen).lower() == guest.vm.identity.vm_id


def test_orphan_becomes_a_child_of_the_first_process_and_is_reaped(guest: Guest) -> None:
    done = guest.run("sh", "-c", "(sleep 1000 & echo $! >/run/orphan)")
    assert done.code == 0
    orphan = int(guest.read("/run/orphan"))
    assert guest.processes[orphan][0] == 1
    guest.kill(orphan, signal.SIGKILL)
    assert guest.run("sh", "-c", f"while [ -e /proc/{orphan} ]; do :; done").code == 0


def test_exit_of_a_started_process_is_told_with_its_signal(guest: Guest) -> None:
    process = guest.start("sleep", "1000")
    guest.kill(process, signal.SIGTERM)
    assert guest.await_exit(process) == -signal.SIGTERM
    assert guest.run("sh", "-c", "exit 7").code == 7


def test_program_that_is_not_there_is_refused_with_its_name(guest: Guest) -> None:
    with pytest.raises(GuestFailed, match="no-such-program"):
        guest.start("no-such-program")


def test_guest_that_was_closed_leaves_nothing_on_this_machine() -> None:
    with Guest() as guest:
        first = guest.pid
        guest.start("sleep", "1000")
        assert guest.leftovers() != []
    assert guest.leftovers() == []
    assert not Path(f"/proc/{first}").exists()


def test_guest_whose_harness_is_killed_leaves_nothing_on_this_machine() -> None:
    argv = [sys.executable, "-c", DYING]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    first, folder = done.stdout.split()
    # The one that cleans up is no child of ours: wait for its last act.
    wait = f"while [ -e {folder} ] || [ -e /proc/{first} ]; do :; done"
    subprocess.run(["timeout", "20", "sh", "-c", wait], check=True)
    assert not any(image.startswith(folder) for image in held_images())


def test_fabric_that_names_no_wire_server_sends_no_option_245() -> None:
    with Guest(option_245=False) as guest:
        answers = [e.answer_body for e in guest.fabric.journal.entries("dhcp")]
        assert answers
        assert not any(b"\xf5\x04\xa8\x3f\x81\x10" in answer for answer in answers)
