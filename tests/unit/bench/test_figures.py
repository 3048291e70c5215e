"""Figures, budgets and verdicts, and the table that shows them."""

from __future__ import annotations

from typing import Optional

import pytest

from tests.bench.figures import FREE, HALF, LESS, OK, OVER, UNKNOWN, ZERO, Row, build_rows, judge
from tests.bench.record import Round
from tests.bench.table import render_notes, render_table, render_values
from tests.unit.bench.samples import whole_round, window

AGENTS = ("ours", "debian")


def rows_of(*rounds: Round) -> dict[str, Row]:
    """Rows by the keys of their figures."""
    return {row.figure.key: row for row in build_rows(rounds, AGENTS)}


@pytest.mark.parametrize(
    ("budget", "ours", "peer", "verdict"),
    [
        (HALF, 5.0, 10.0, OK),
        (HALF, 5.1, 10.0, OVER),
        (HALF, None, 10.0, OVER),
        (HALF, 5.0, None, UNKNOWN),
        (HALF, 0.0, -0.1, UNKNOWN),
        (LESS, 9.9, 10.0, OK),
        (LESS, 10.0, 10.0, OVER),
        (ZERO, 0.0, 7.0, OK),
        (ZERO, 1.0, None, OVER),
        (ZERO, None, 7.0, UNKNOWN),
        (FREE, 99.0, 1.0, ""),
    ],
)
def test_verdict_follows_from_the_budget(
    budget: str, ours: Optional[float], peer: Optional[float], verdict: str
) -> None:
    """Half, less, none; and what cannot be said is not called good."""
    assert judge(budget, ours, peer)[1] == verdict


def test_figures_are_medians_over_all_rounds() -> None:
    """Of the rounds of one agent only."""
    ours = [whole_round("ours", n, ready=10.0 + n) for n in (1, 2, 6)]
    row = rows_of(*ours, whole_round("debian", ready=40.0))["ready"]
    assert [v.median for v in row.values] == [2.0, 30.0]
    assert (row.limit, row.verdict) == (15.0, OK)
    assert row.ratio == pytest.approx(2 / 30)


def test_changes_of_all_rounds_are_one_list() -> None:
    """A median of medians would hide the slow ones."""
    row = rows_of(whole_round("ours", 1), whole_round("ours", 2), whole_round("debian"))["change"]
    assert row.values[0].all == (4.0, 5.0, 9.0, 4.0, 5.0, 9.0)
    assert row.verdict == OVER


def test_writes_are_what_the_guest_alone_does_not_write() -> None:
    """Three less one."""
    row = rows_of(whole_round("ours"), whole_round("debian"))["written"]
    assert row.values[0].median == 2.0


def test_memory_is_judged_for_the_daemon_and_for_the_sum() -> None:
    """Half for the one, less for the other."""
    rows = rows_of(whole_round("ours", mib=10), whole_round("debian", mib=19))
    assert rows["pss_daemon"].verdict == OVER
    assert rows["pss_sum"].verdict == OK
    assert rows["pss_sum"].values[0].median == 30.0


def test_round_that_ended_early_has_the_figures_that_it_came_to() -> None:
    """And the others are not made up."""
    broken = Round("debian", 1, load_before=0.0, failed="AssertionError: it never got Ready")
    rows = rows_of(whole_round("ours"), broken)
    assert rows["ready"].values[1].median is None
    assert rows["ready"].verdict == UNKNOWN
    assert render_values(rows["ready"].values[1], "s") == "never"
    assert rows["processes"].verdict == OK


def test_one_agent_alone_is_measured_and_not_judged() -> None:
    """There is nobody to compare it with."""
    rows = build_rows([whole_round("ours")], ["ours"])
    assert {row.verdict for row in rows} == {""}
    assert "verdict" not in render_table(rows, ["ours"])


def test_table_has_a_line_for_every_figure_with_its_verdict() -> None:
    """The numbers of both, ratio, budget, what was recorded."""
    rows = build_rows([whole_round("ours", ready=12.0), whole_round("debian", ready=30.0)], AGENTS)
    lines = render_table(rows, AGENTS).splitlines()
    assert len(lines) == 2 + len(rows)
    ready = next(line for line in lines if "to Ready" in line)
    assert ready.split()[-7:] == ["s", "2.00", "20.0", "0.10", "<=10.0", "19-22", "ok"]


def test_values_show_their_spread_where_there_is_one() -> None:
    """Median, least, most."""
    rows = rows_of(*(whole_round("ours", n, ready=10.0 + n) for n in (1, 2, 6)))
    assert render_values(rows["ready"].values[0], "s") == "2.00 (1.00-6.00)"
    assert render_values(rows["pss_sum"].values[0], "MiB") == "30.0"
    assert render_values(rows["ready"].values[1], "s") == "-"


def test_notes_say_what_went_wrong_and_whether_it_was_quiet() -> None:
    """A number without that is worth less."""
    failed = Round("debian", 1, load_before=2.5, failed="MachineFailed: the machine is off")
    said = render_notes([whole_round("ours"), failed])
    assert "debian, round 1 ended early: MachineFailed: the machine is off" in said
    assert "not quiet, load 2.5" in said
    assert "ours, round 1" not in said


def test_processes_that_could_not_be_counted_are_no_zero() -> None:
    """The budget of none is not kept by a kernel without tracing."""
    untraced = whole_round("ours")
    untraced.idle = window(processes=None)
    assert rows_of(untraced, whole_round("debian"))["processes"].verdict == UNKNOWN


def test_notes_tell_when_the_same_kernel_took_longer() -> None:
    """It is the same in every round: what differs is the other load of the machine."""
    slow = whole_round("debian")
    assert "UNQUIET" not in render_notes([whole_round("ours"), slow])
    slow.boot.userspace_s = 9.0
    assert "5.0 to 9.0 s" in render_notes([whole_round("ours"), slow])
