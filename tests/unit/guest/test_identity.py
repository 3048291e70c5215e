"""The VM's id and its byte orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.runner import Answer, fails, ok
from waagent.guest.identity import is_same_vm, read_vm_id, swap_bytes

RAW = "00112233-4455-6677-8899-AABBCCDDEEFF"
SWAPPED = "33221100-5544-7766-8899-AABBCCDDEEFF"
PRODUCT_UUID = "/sys/class/dmi/id/product_uuid"


@pytest.mark.parametrize(
    ("content", "expected"), [(RAW + "\n", SWAPPED), ("Value\n", "Value"), ("", "")]
)
def test_vm_id_is_the_firmware_uuid_in_azures_byte_order(
    tmp_path: Path, content: str, expected: str
) -> None:
    guest = Machine(files={PRODUCT_UUID: content}).boot(tmp_path)
    assert read_vm_id(guest.system) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(ok(f"{RAW}\n"), SWAPPED), (fails(), ""), (ok("# not supported"), "")],
)
def test_vm_id_comes_from_dmidecode_when_sysfs_has_none(
    tmp_path: Path, answer: Answer, expected: str
) -> None:
    guest = Machine(commands={("dmidecode", "--string", "system-uuid"): answer}).boot(tmp_path)
    assert read_vm_id(guest.system) == expected


def test_vm_id_is_empty_when_nothing_tells_it(tmp_path: Path) -> None:
    assert read_vm_id(Machine().boot(tmp_path).system) == ""


@pytest.mark.parametrize("stored", [RAW, SWAPPED, RAW.lower(), SWAPPED.lower(), SWAPPED + "\n"])
def test_stored_vm_id_counts_in_either_byte_order_and_any_case(stored: str) -> None:
    assert is_same_vm(stored, SWAPPED)


def test_other_vm_id_is_another_vm() -> None:
    assert not is_same_vm(RAW.replace("FF", "FE"), SWAPPED)
    assert not is_same_vm("", SWAPPED)
    assert is_same_vm("", "")


def test_swapping_twice_gives_the_same_id() -> None:
    assert swap_bytes(swap_bytes(RAW)) == RAW
