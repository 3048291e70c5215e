"""Outages of the fabric: the tables of docs/outages.md, some rows again, and the real child.

All rows are run by `make outages`.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric
from tests.outages import document
from tests.outages.cases import PATIENCE_S, Case, every_case
from tests.outages.hour import play
from tests.outages.matrix import GROUPS, live_through
from tests.outages.package import BY_HOST, DIRECT, MEBIBYTE, MOST_MORE_KB, QUICKLY, weigh
from tests.outages.real import RealChild

MAKE = "run `make outages`, which writes docs/outages.md"
MOST_AN_HOUR = 14_000
MOST_A_MINUTE = 240
MOST_CPU_S = 36.0
"""Of an hour: a hundredth of a processor."""
MOST_LINES = 300
LONGEST_BACK_S = 60.0


def test_every_fault_on_every_endpoint_is_in_the_table_and_within_bounds() -> None:
    """However long the fabric is away, it is not asked without measure."""
    rows = {(fault, endpoint): rest for endpoint, fault, *rest in document.read(document.HOUR)}
    assert rows.keys() == {(case.fault, case.endpoint) for case in every_case()}, MAKE
    for case, (requests, a_minute, lines, cpu_s, _, back_s) in rows.items():
        assert int(requests) <= MOST_AN_HOUR, case
        assert int(a_minute) <= MOST_A_MINUTE, case
        assert int(lines) <= MOST_LINES, case
        assert float(cpu_s) <= MOST_CPU_S, case
        assert float(back_s) <= LONGEST_BACK_S, case


def test_every_fault_was_lived_through_by_the_real_child() -> None:
    """It came back by itself, and ended when it was told to."""
    rows = {(fault, group): rest for group, fault, *rest in document.read(document.CHILD)}
    assert rows.keys() == {(case.fault, g) for case in every_case() for g in GROUPS}, MAKE
    assert all(float(end_s) < 1.0 for *_, end_s in rows.values())


def test_large_package_cost_the_real_child_less_than_two_megabytes() -> None:
    """500 MB, direct and through the host."""
    rows = document.read(document.PACKAGE)
    assert [(way, size) for way, size, *_ in rows] == [(DIRECT, "500"), (BY_HOST, "500")]
    assert all(int(more_kb) < MOST_MORE_KB for *_, more_kb in rows)


@pytest.mark.parametrize("case", [Case("HANG", "everything"), Case("BROKEN", "hgap.status")])
def test_hour_of_an_outage_costs_what_the_table_says(case: Case) -> None:
    """Requests to a tenth; the same hour is the same each time but for who is drawn first."""
    (row,) = (row for row in document.read(document.HOUR) if row[:2] == (case.endpoint, case.fault))
    cost = play(case)
    assert cost.requests == pytest.approx(int(row[2]), rel=0.1)
    assert cost.lines <= int(row[4]) + 20
    assert cost.back_after_s is not None
    assert cost.back_after_s <= LONGEST_BACK_S


@pytest.mark.parametrize(("fault", "group"), [("UNAVAILABLE", "everything"), ("GONE", "hgap.")])
def test_real_child_comes_back_by_itself(tmp_path: Path, fault: str, group: str) -> None:
    """A new goal state, made while it could not be had, is carried out."""
    live_through(tmp_path, fault, group, seconds=2.0, conf=QUICKLY)


def test_real_child_ends_at_once_though_every_peer_hangs(tmp_path: Path) -> None:
    """The service manager does not wait for our peers."""
    with Fabric() as fabric, RealChild(tmp_path, fabric, conf=QUICKLY) as child:
        fabric.await_extension(ECHO, seq_no=0, within_s=60)
        fabric.fault("", "HANG")
        child.await_requests(1)
        told = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(20) == 0, child.log()
        assert time.monotonic() - told < PATIENCE_S / 2, "a request would wait so long"


def test_large_package_costs_the_child_no_memory(tmp_path: Path) -> None:
    """500 MB cost as little, and direct too: `make outages WHAT=package`."""
    weight = weigh(tmp_path, 16 * MEBIBYTE, BY_HOST)
    assert weight.more_kb < MOST_MORE_KB
