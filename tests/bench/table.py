"""The figures as a table for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.figures import HALF, LESS, ZERO, Row, Values
from tests.bench.record import Round

TITLE, COLUMN, SPREAD_FROM = 37, 20, 0.005
UNQUIET = 1.25  # times that the slowest start of the same kernel may take


def render_number(value: float, unit: str) -> str:
    """As many digits as mean something."""
    if unit == "":
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def render_values(values: Values, unit: str) -> str:
    """The median, and the least and the most where they differ."""
    median = values.median
    if median is None:
        return "never" if values.failed else "-"
    least, most = min(values.all), max(values.all)
    text = render_number(median, unit)
    if most - least > max(abs(median), 1.0) * SPREAD_FROM:
        text += f" ({render_number(least, unit)}-{render_number(most, unit)})"
    return text


def render_table(rows: Sequence[Row], agents: Sequence[str]) -> str:
    """One line a figure: each agent, ratio, budget, the recorded reference, verdict."""
    judged = len(agents) > 1
    names = "".join(f"{name[: COLUMN - 1]:>{COLUMN}}" for name in agents)
    head = f"{'':<{TITLE}}{'':>4}{names}"
    if judged:
        head += f"{'ratio':>8}{'budget':>9}{'recorded':>11}  verdict"
    lines = [head, "-" * len(head)]
    for row in rows:
        unit = row.figure.unit
        cells = "".join(f"{render_values(v, unit):>{COLUMN}}" for v in row.values)
        line = f"{row.figure.title:<{TITLE}}{unit:>4}{cells}"
        if judged:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            line += f"{ratio:>8}{_limit(row):>9}{row.figure.recorded:>11}  {row.verdict}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def render_notes(rounds: Sequence[Round]) -> str:
    """What a reader of the table has to know besides."""
    lines = []
    doubt = max((r.boot.clock_uncertainty_s for r in rounds), default=0.0)
    lines.append(
        f"Medians of {max((r.number for r in rounds), default=0)} rounds of each agent, least and"
        f" most in brackets. Moments of the guest are known to {doubt * 1000:.0f} ms."
    )
    lines.append(
        f"Budgets: '{HALF}', '{LESS}' or '{ZERO}', of medians in this run; 'recorded' is the"
        " reference agent in another machine, for its ratios only."
    )
    kernels = [r.boot.userspace_s for r in rounds if r.boot.userspace_s is not None]
    if kernels and max(kernels) > min(kernels) * UNQUIET:
        lines.append(
            f"UNQUIET: the same kernel took {min(kernels):.1f} to {max(kernels):.1f} s to start, so"
            " something else ran on this machine; measure again."
        )
    for r in rounds:
        where = f"{r.agent}, round {r.number}"
        if r.failed:
            lines.append(f"{where} ended early: {r.failed}")
        if r.boot.restarts_of_the_unit:
            lines.append(f"{where}: systemd restarted the unit {r.boot.restarts_of_the_unit} times")
        if r.load_before > 0.5:
            lines.append(f"{where}: this machine was not quiet, load {r.load_before:.1f} before it")
    return "\n".join(lines)


def _limit(row: Row) -> str:
    if row.limit is None:
        return ""
    sign = "<" if row.figure.budget == LESS else "<="
    return f"{sign}{render_number(row.limit, row.figure.unit)}"
