"""Kill the child of a machine at one point of the matrix, and start it again."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.kills import await_true
from tests.fabric.faults import HANG, STALL
from tests.kills.machine import PATIENCE_S, End, Machine, Stock, machine
from tests.kills.points import Asked, Before, Point, Within
from tests.kills.verdict import ended


@dataclass(frozen=True)
class Story:
    """What the commands wrote before the kill, how it ended, what was reported meanwhile."""

    before: tuple[str, ...]
    end: End
    waited: bool
    log: str

    @property
    def again(self) -> str:
        """The words of the commands that the next start ran itself."""
        calls = [call for call in self.end.calls if call.startswith("begin ")]
        return " ".join(call.split()[1] for call in calls)


def play(point: Point, stock: Stock) -> Story:
    """The whole of it."""
    undisturbed = stock.undisturbed(point.scenario)
    with machine(stock.copy(point.scenario), point.scenario) as one:
        at = point.at
        if isinstance(at, Before):
            one.live(_number_of(at, undisturbed))
        elif isinstance(at, Within):
            (one.root / "strike").write_text(at.call)
            one.live()
        elif isinstance(at, Asked):
            _kill_while_asked(one, at)
        else:
            _kill_when_reported(one)
        before = one.calls()
        process = one.start()
        try:
            if isinstance(at, Within):
                _await_word(one)
            end = one.converge(process)
        finally:
            process.kill()
            process.wait()
        return Story(before, end, isinstance(at, Within), one.output)


def _await_word(one: Machine) -> None:
    """The command still runs: nothing can come of the goal state, but the agent is heard of."""
    one.fabric.await_status(within_s=PATIENCE_S)
    seen = one.peek()
    (one.root / "go-on").touch()
    assert seen == (), f"beside the command that was waited for: {seen}"


def _number_of(at: Before, undisturbed: End) -> int:
    found = [n for n, step in enumerate(undisturbed.steps) if _fits(step, at.text)]
    assert len(found) >= at.nth, f"{at} is no step of {undisturbed.steps}"
    return found[at.nth - 1]


def _fits(step: str, text: str) -> bool:
    return step == text or step.startswith(f"{text} ")


def _kill_while_asked(one: Machine, at: Asked) -> None:
    one.fabric.fault(at.endpoint, STALL if at.half else HANG, count=1)
    process = one.start()
    try:
        # Polled: no later request tells of it, until the one that hangs has been given up.
        await_true(lambda: not one.fabric.world.board.list(), at.endpoint)
        if at.half:
            await_true(lambda: one.has_part_of_a_package, "part of a package")
    finally:
        process.kill()
        process.wait()
    since = len(one.fabric.journal.entries())
    one.fabric.clear_faults()
    if at.endpoint == "hgap.status":  # which the fabric then gets from nobody who lives
        one.fabric.await_requests(at.endpoint, since=since)


def _kill_when_reported(one: Machine) -> None:
    process = one.start()
    try:
        one.fabric.await_status(one.is_done, within_s=PATIENCE_S)
    finally:
        process.kill()
        process.wait()


__all__ = ["Story", "ended", "play"]
