"""The daemon in a process of its own: `python -m tests.integration.daemon.actor <json>`.

What boots is scripted, time may pass at once, and what it waited for is written down. It imports
what the command imports, and no more: its memory is measured.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Optional

from waagent.cli import configured
from waagent.core import log
from waagent.core.clock import Stop, SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.daemon.main import Daemon, Launch


class HastyClock(SystemClock):
    """Waits for descriptors as long as it takes; any other time passes at once, if in a hurry.

    ``factor`` is how many times faster than real time it goes otherwise.
    """

    def __init__(self, diary: Path, *, in_hurry: bool, factor: float) -> None:
        self._diary = diary
        self._in_hurry = in_hurry
        self._factor = factor
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return super().monotonic() * self._factor + self._ahead_s

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        if descriptors or not self._in_hurry or seconds > 1000:
            return super().wait(stop, seconds / self._factor, *descriptors)
        with self._diary.open("a", encoding="utf-8") as stream:
            stream.write(f"{seconds:g}\n")
        self._ahead_s += seconds
        return stop is not None and stop.is_set()


def tell_and_hang() -> None:
    """Say what it does, and something secret."""
    log = logging.getLogger("waagent.boot")
    log.debug("of no interest")
    log.info("Looking for the fabric")
    log.warning("No answer from %s\nbut more of it", "https://store/x?sig=secret%3D&se=1")
    signal.pause()


def talk_to_nobody() -> None:
    """Say much while the daemon cannot listen, then stay: what it said can be read."""
    os.kill(os.getppid(), signal.SIGSTOP)
    for number in range(1000):
        logging.getLogger("waagent.boot").info("Number %d %s", number, "x" * 1000)
    os.kill(os.getppid(), signal.SIGCONT)
    signal.pause()


WORDS = {"hang and tell": tell_and_hang, "talk while nobody listens": talk_to_nobody}


class Boots:
    """What each boot does, one after the other; the last one again and again."""

    def __init__(self, plan: list[str], count: Path) -> None:
        self._plan = plan
        self._count = count

    def __call__(self) -> int:
        """Run in the helper, whose memory nobody sees again: so a file counts."""
        with self._count.open("a", encoding="utf-8") as stream:
            stream.write("boot\n")
        number = len(self._count.read_text(encoding="utf-8").splitlines())
        outcome = self._plan[min(number, len(self._plan)) - 1]
        if outcome == "crash":
            raise ValueError("a defect")
        if outcome == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if outcome in WORDS:
            WORDS[outcome]()
        if outcome == "hang":
            print("hanging", flush=True)
            signal.pause()
        if outcome == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("hanging", flush=True)
            while True:
                signal.pause()
        if outcome == "takes its lib dir away":
            Path.cwd().rmdir()
        if outcome == "heavy":
            import waagent.daemon.boot  # noqa: F401  as the command does: its memory is measured
        return {"fail": 1, "taken over": 3}.get(outcome, 0)


def run(plan: dict[str, Any]) -> int:
    """Run the daemon to its end; its exit code."""
    root = Path(plan["root"])
    clock = HastyClock(root / "waits", in_hurry=plan["in_hurry"], factor=plan["factor"])
    system = System(root, ProcessRunner(os.environ), clock, dict(os.environ))
    conf = Conf()
    paths = make_paths(system, conf)
    context = Context(system, conf, paths, Events(paths.events, clock), Stop())
    log.set_up(prefix="Daemon", verbose=False)
    troubles = iter(plan["console"])

    def console_off() -> None:
        if next(troubles, "") == "raises":
            raise KeyError("a defect of the daemon itself")

    boots = Boots(plan["boots"], root / "boots")
    code = Daemon(context, Launch(plan["program"]), boots, "test 1").run(console_off)
    (root / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
    return code


if __name__ == "__main__":
    assert configured.RUNNERS
    sys.exit(run(json.loads(sys.argv[1])))
