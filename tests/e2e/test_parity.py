"""What our first boot sends is what the recorded one sent, field by field, but for docs/parity.md.

Order between threads, repeats and the choice of mirror are free.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.guest import Guest
from tests.e2e.facts import Wish
from tests.fabric import ECHO, golden
from tests.fabric.golden import Difference

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests/data/golden/01-provision.jsonl"


def intended_differences() -> dict[Difference, str]:
    """The rows of the table under "On the wire", with their reasons."""
    text = (ROOT / "docs/parity.md").read_text(encoding="utf-8")
    table = text.split("## On the wire")[1].split("\n## ")[0]
    rows = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 5 and cells[0] not in ("endpoint", "---"):
            rows[Difference(*cells[:4])] = cells[4]
    return rows


def test_first_boot_sends_what_the_reference_sends_but_for_the_listed_differences() -> None:
    wish = Wish()
    with Guest(wish.vm(), wish.media()) as guest:
        guest.start_daemon()
        guest.fabric.await_ready()
        guest.fabric.await_extension(ECHO, seq_no=0)
        guest.fabric.await_requests("wire.telemetry", 1)
        guest.fabric.await_requests("hgap.health", 1)
        guest.fabric.await_requests("imds.instance", 1)
        guest.fabric.await_requests("wire.healthservice", 4)
        records = [
            golden.record_of(entry, guest.fabric.vm) for entry in guest.fabric.journal.entries()
        ]
        guest.fabric.assert_clean()
    found = golden.differences(golden.load(RECORDING), records)
    intended = intended_differences()
    assert all(intended.values()), "a row of docs/parity.md has no reason"
    assert found - set(intended) == set(), "differences that docs/parity.md does not list"
    assert set(intended) - found == set(), "rows of docs/parity.md that no longer apply"
