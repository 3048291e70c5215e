"""Write docs/outages.md: `hour` in compressed time, `real` and `child` with the real process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from tests.fabric import ECHO, Fabric
from tests.fabric.model import FAST_TRACK_FABRIC
from tests.outages import document
from tests.outages.cases import Case, every_case
from tests.outages.hour import Cost, play
from tests.outages.matrix import BACK_WITHIN_S, FIRST_WITHIN_S
from tests.outages.package import BY_HOST, DIRECT, MEBIBYTE, weigh
from tests.outages.real import RealChild
from tests.support.child_process import PROJECT

MINUTES = 4
LARGE = 500 * MEBIBYTE
REFUSED = "REFUSED"
IN_REAL_TIME = ("UNAVAILABLE", "HANG", REFUSED)


def hour(chosen: Sequence[str]) -> None:
    """The rows of these endpoints, or `ENDPOINT:FAULT`, in compressed time; all without any."""
    cases = [
        case
        for case in every_case()
        if not chosen or {case.endpoint, f"{case.endpoint}:{case.fault}"} & set(chosen)
    ]
    rows = {row[:2]: row for row in document.read(document.HOUR)}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for case, cost in zip(cases, pool.map(_play, cases)):
            row = tuple(str(cell) for cell in _row(case, cost))
            print("ROW |", " | ".join(row), flush=True)
            rows[row[:2]] = row
    order = [(case.endpoint, case.fault) for case in every_case()]
    document.write(document.HOUR, [rows[key] for key in order if key in rows])


def _play(case: Case) -> Cost:
    os.nice(5)
    return play(case)


def _row(case: Case, cost: Cost) -> Sequence[object]:
    back = "never" if cost.back_after_s is None else f"{cost.back_after_s:.0f}"
    return (
        case.endpoint,
        case.fault,
        cost.requests,
        cost.most_a_minute,
        cost.lines,
        f"{cost.cpu_s:.1f}",
        f"{cost.longest_without_status_s:.0f}",
        back,
    )


def real() -> None:
    """Three faults at the same time, each with a child of its own, for minutes."""
    rows: dict[str, Sequence[object]] = {}
    threads = [
        threading.Thread(target=lambda f=fault: rows.update({f: _live(f)}))
        for fault in IN_REAL_TIME
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document.write(document.REAL, [rows[fault] for fault in IN_REAL_TIME])


def _live(fault: str) -> Sequence[object]:
    with tempfile.TemporaryDirectory() as folder, Fabric() as fabric:
        fabric.platform.set_fast_track(FAST_TRACK_FABRIC)
        with RealChild(Path(folder), fabric) as child:
            fabric.await_extension(ECHO, seq_no=0, within_s=FIRST_WITHIN_S)
            if fault != REFUSED:
                fabric.fault("", fault)
            with child.refusing() if fault == REFUSED else nullcontext():
                before = (child.requests(), child.lines(), child.cpu_s())
                child.pause(MINUTES * 60)
                after = (child.requests(), child.lines(), child.cpu_s())
                assert child.is_alive(), child.log()
            fabric.clear_faults()
            fabric.portal.update_settings(ECHO, {"echo": "again"})
            began = time.monotonic()
            fabric.await_extension(ECHO, seq_no=1, within_s=BACK_WITHIN_S)
            back_s = time.monotonic() - began
    requests, lines, cpu_s = (b - a for a, b in zip(before, after))
    hours = MINUTES / 60
    asked = "as RESET: nobody counts" if fault == REFUSED else round(requests / hours)
    return (
        fault, MINUTES, asked, round(lines / hours), f"{cpu_s / hours:.1f}", f"{back_s:.0f}",
    )  # fmt: skip


def package() -> None:
    """A package of 500 MB, by both ways."""
    rows = []
    for way in (DIRECT, BY_HOST):
        with tempfile.TemporaryDirectory() as folder:
            weight = weigh(Path(folder), LARGE, way, within_s=300.0)
        rows.append((way, LARGE // MEBIBYTE, weight.before_kb, weight.peak_kb, weight.more_kb))
        print("ROW |", *rows[-1])
    document.write(document.PACKAGE, rows)


def child() -> int:
    """Every row with the real child, several at a time."""
    argv = (sys.executable, "-m", "pytest", "-v", "-rA", "-n", "8", "--dist", "worksteal")
    ran = subprocess.run(
        (*argv, "tests/outages/every_fault.py"),
        cwd=PROJECT, check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    print(ran.stdout)
    rows = [line[4:].strip(" |") for line in ran.stdout.splitlines() if line.startswith("ROW |")]
    document.write(document.CHILD, sorted(tuple(row.split(" | ")) for row in set(rows)))
    return ran.returncode


if __name__ == "__main__":
    wanted = sys.argv[1:2] or ["hour", "real", "package", "child"]
    if "hour" in wanted:
        hour(sys.argv[2:])
    if "real" in wanted:
        real()
    if "package" in wanted:
        package()
    sys.exit(child() if "child" in wanted else 0)
