"""What the "provisioned" file and those beside it say of this machine (DAEMON 5.3, appendix D)."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from tests.support.new_machine import LIB, UUID, VM_ID, World
from waagent.core.files import MAX_READ
from waagent.provisioning import marker
from waagent.provisioning.marker import Standing

OTHER = "11111111-2222-3333-4444-555555555555"
DMI = "/sys/class/dmi/id/product_uuid"


def machine(folder: Path, provisioned: Optional[str], ready: Optional[str] = VM_ID) -> World:
    given = {"provisioned": provisioned, "ready_reported": ready}
    files = {f"{LIB}/{name}": text for name, text in given.items() if text is not None}
    return World(folder, files=files)


@pytest.mark.parametrize(
    ("provisioned", "ready", "expected"),
    [
        (None, None, Standing.NEW),
        (None, VM_ID, Standing.NEW),
        (VM_ID, VM_ID, Standing.SAME),
        (VM_ID.lower(), VM_ID, Standing.SAME),
        (UUID, VM_ID, Standing.SAME),
        (UUID.lower() + "\n", VM_ID, Standing.SAME),
        (VM_ID, UUID, Standing.SAME),
        (VM_ID, "", Standing.SAME),
        (VM_ID, None, Standing.UNREPORTED),
        (VM_ID, OTHER, Standing.UNREPORTED),
        (OTHER, VM_ID, Standing.MOVED),
        (OTHER, None, Standing.MOVED),
        ("Value", VM_ID, Standing.MOVED),
        ("", VM_ID, Standing.UNNAMED),
        ("\n", None, Standing.UNNAMED),
    ],
)
def test_standing_follows_the_id_in_either_byte_order(
    tmp_path: Path, provisioned: Optional[str], ready: Optional[str], expected: Standing
) -> None:
    assert marker.read_standing(machine(tmp_path, provisioned, ready).context) is expected


def test_machine_whose_marker_cannot_be_read_is_not_set_up_anew(tmp_path: Path) -> None:
    """Too large to be read is what a test can make of it; the file's existence decides."""
    world = machine(tmp_path, VM_ID)
    with world.guest.path(f"{LIB}/provisioned").open("wb") as stream:
        stream.truncate(MAX_READ + 1)
    assert marker.read_standing(world.context) is Standing.UNNAMED
    marker.write_marker(world.context)
    assert marker.read_standing(world.context) is Standing.SAME


@pytest.mark.parametrize(
    ("firmware", "stored"),
    [(UUID + "\n", VM_ID), (UUID.lower(), VM_ID.lower()), ("Value\n", "Value"), ("", "")],
)
def test_marker_holds_the_id_as_azure_writes_it(tmp_path: Path, firmware: str, stored: str) -> None:
    world = World(tmp_path, files={DMI: firmware})
    marker.write_marker(world.context)
    assert world.guest.file(f"{LIB}/provisioned") == stored
    assert marker.read_standing(world.context) is Standing.UNREPORTED
    marker.note_done(world.context, world.paths.ready_reported)
    assert marker.read_standing(world.context) is Standing.SAME


def test_machine_whose_firmware_tells_nothing_is_the_same_as_long_as_it_does_not(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, without=(DMI,))
    marker.write_marker(world.context)
    marker.note_done(world.context, world.paths.ready_reported)
    assert marker.read_standing(world.context) is Standing.SAME


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(None, False), (VM_ID, True), (UUID, True), ("", True), (OTHER, False), ("x", False)],
)
def test_what_was_done_on_another_machine_is_not_done(
    tmp_path: Path, stored: Optional[str], expected: bool
) -> None:
    files = {} if stored is None else {f"{LIB}/account_ready": stored}
    context = World(tmp_path, files=files).context
    assert marker.is_done(context, context.paths.account_ready) is expected
