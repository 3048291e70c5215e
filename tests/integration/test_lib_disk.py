"""The real child, whose lib dir is full or read-only: it goes on, says so, and recovers by itself.

Each test is one life of the child. What it says names the file and what can be done; it comes from
memory, since neither the status of a handler nor a placeholder can be written there.
"""

from __future__ import annotations

import io
import random
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fabric import ECHO, Fabric
from tests.fabric.echo import package
from tests.fabric.emulator import handler_items
from tests.support.agent import RootedAgent
from tests.support.child_process import end_child, leave_endpoint, start_child
from tests.support.lib_disk import LibDisk, lib_disk

pytestmark = pytest.mark.root

WITHIN_S = 30.0
FULL = "No space left on device"
FULL_REMEDY = "free some space on that file system"
READ_ONLY = "Read-only file system"
READ_ONLY_REMEDY = "mount it writable"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LibDisk]:
    """The lib dir, a disk of its own."""
    with lib_disk(tmp_path) as mounted:
        yield mounted


def prepare(fabric: Fabric, root: Path) -> None:
    """What a daemon leaves for its child."""
    machine = RootedAgent(root, fabric)
    leave_endpoint(machine)
    (root / "var/log").mkdir(parents=True)
    (root / "etc/waagent.conf").write_text("Extensions.GoalStatePeriod=1\n")


@contextmanager
def running(fabric: Fabric, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The child; it has to be alive at the end and to end in order."""
    with (root / "output").open("wb") as output:
        process = start_child(root, fabric.address_book, output=output)
    try:
        yield process
        assert process.poll() is None, (root / "output").read_text()
        code = end_child(process, WITHIN_S)
    finally:
        process.kill()
        process.wait()
    assert code == 0, (root / "output").read_text()


def item(document: dict[str, Any]) -> dict[str, Any]:
    """What a status says of the extension; nothing where it says nothing."""
    found = handler_items(document, ECHO)
    return found[0] if found else {}


def await_complaint(fabric: Fabric, since: int, *words: str) -> str:
    """The extension's message, once it is not ready for a reason with all these words."""

    def complains(document: dict[str, Any]) -> bool:
        told = item(document)
        message = told.get("formattedMessage", {}).get("message") or ""
        return told.get("status") == "NotReady" and all(word in message for word in words)

    document = fabric.await_status(complains, since=since, within_s=WITHIN_S)
    message: str = item(document)["formattedMessage"]["message"]
    return message


def await_report(fabric: Fabric) -> None:
    """One more status: the loop goes on."""
    fabric.await_status(since=reports(fabric), within_s=WITHIN_S)


def reports(fabric: Fabric) -> int:
    """How many statuses there were."""
    return len(fabric.world.received.statuses)


def test_child_starts_on_a_full_disk_and_sets_the_machine_right_once_there_is_room(
    fabric: Fabric, tmp_path: Path, disk: LibDisk
) -> None:
    prepare(fabric, tmp_path)
    disk.fill()
    with running(fabric, tmp_path):
        message = await_complaint(fabric, 0, FULL, FULL_REMEDY, str(disk.folder / ECHO))
        await_report(fabric)
        disk.empty()
        fabric.await_extension(ECHO, seq_no=0, within_s=WITHIN_S)
    print(f"\n{message}")


def test_disk_that_fills_up_costs_only_what_is_new_and_status_goes_out(
    fabric: Fabric, tmp_path: Path, disk: LibDisk
) -> None:
    prepare(fabric, tmp_path)
    with running(fabric, tmp_path):
        fabric.await_extension(ECHO, seq_no=0, within_s=WITHIN_S)
        disk.fill()
        since = reports(fabric)
        fabric.portal.update_settings(ECHO, {"echo": "second"}, {"secret": "x"})
        print("\n" + await_complaint(fabric, since, FULL, FULL_REMEDY, f"{disk.folder / ECHO}-1"))
        await_report(fabric)
        disk.empty()
        fabric.await_extension(ECHO, seq_no=1, within_s=WITHIN_S)
    assert "echo=second" in str(fabric.world.received.statuses[-1])


def test_package_that_does_not_fit_is_unpacked_once_it_does(fabric: Fabric, tmp_path: Path) -> None:
    with lib_disk(tmp_path, "3m") as disk:
        prepare(fabric, tmp_path)
        fabric.platform.publish(ECHO, "1.0.0", padded(package("1.0.0"), 2 << 20))
        with running(fabric, tmp_path):
            print("\n" + await_complaint(fabric, 0, FULL, FULL_REMEDY, ECHO))
            assert not list(disk.folder.glob(f".{ECHO}*")), "nothing half unpacked stays"
            await_report(fabric)
            disk.remount("size=32m")
            fabric.await_extension(ECHO, seq_no=0, within_s=WITHIN_S)


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_read_only_disk_is_told_of_and_recovered_from(
    fabric: Fabric, tmp_path: Path, disk: LibDisk, when: str
) -> None:
    prepare(fabric, tmp_path)
    if when == "at the start":
        disk.remount("ro")
    with running(fabric, tmp_path):
        number = 0
        if when == "later":
            fabric.await_extension(ECHO, seq_no=0, within_s=WITHIN_S)
            disk.remount("ro")
            number = 1
            fabric.portal.update_settings(ECHO, {"echo": "second"}, {"secret": "x"})
        print("\n" + await_complaint(fabric, 0, READ_ONLY, READ_ONLY_REMEDY, ECHO))
        await_report(fabric)
        disk.remount("rw")
        fabric.await_extension(ECHO, seq_no=number, within_s=WITHIN_S)


def padded(data: bytes, size: int) -> bytes:
    """The package with a large file that cannot be compressed."""
    with_more = io.BytesIO(data)
    with zipfile.ZipFile(with_more, "a") as archive:
        archive.writestr("large.bin", random.Random(1).randbytes(size))
    return with_more.getvalue()
