"""Named threads that run periodic work, and the group that starts, revives and stops them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Callable, Optional, Protocol

from waagent.core.clock import MAX_WAIT_S, Clock, Stop
from waagent.core.errors import AgentError, describe
from waagent.core.log import Quietly
from waagent.core.records import dataclass

log = logging.getLogger(__name__)

EARLY_S = 0.001  # a wait may seem to end that much before its time


class Wake(Protocol):
    """What can wake a worker: ``clock.Bell``, which people ring, or one of the kernel's."""

    def answer(self) -> bool:
        """Whether it was rung since it was asked last."""

    def fileno(self) -> int:
        """A descriptor that is readable while nobody has answered."""


@dataclass(frozen=True)
class Periodic:
    """Work that comes round; its name finishes the sentence "Cannot ...".

    With a bell it is done ``every_s`` after somebody rang, for all that came meanwhile, and not
    otherwise. ``known_as`` is the word that the log has always had for it: "Error in ...".
    """

    name: str
    every_s: float
    do: Callable[[], None]
    first_after_s: float = 0.0
    bell: Optional[Wake] = None
    known_as: str = ""


class Worker:
    """One named thread; runs whichever of its periodics is due next."""

    def __init__(
        self, name: str, periodics: Sequence[Periodic], clock: Clock, *, greeting: str = ""
    ) -> None:
        self.name = name
        self._greeting = greeting
        self._clock = clock
        self._stop = Stop()
        self._quietly = Quietly(clock)
        start = clock.monotonic()
        self._due = {each: start + each.first_after_s for each in periodics if each.bell is None}
        self._silent = [each for each in periodics if each.bell is not None]
        self._thread: Optional[threading.Thread] = None
        self._lock = threading.Lock()

    def turn(self) -> bool:
        """Wait for the next periodic and run it; ``False`` once told to stop."""
        self._hear()
        periodic = min(self._due, key=self._due.__getitem__, default=None)
        now = self._clock.monotonic()
        due = now + MAX_WAIT_S if periodic is None else self._due[periodic]
        bells = [each.bell.fileno() for each in self._silent if each.bell is not None]
        if self._clock.wait(self._stop, max(0.0, due - now), *bells):
            return False
        if periodic is None or self._clock.monotonic() < due - EARLY_S:
            return True  # a bell, or a very long wait that is asked for again
        if periodic.bell is not None:
            periodic.bell.answer()  # what was rung until now is what it is done for
        self._attempt(periodic)
        del self._due[periodic]  # of those that are due at the same time the others come first
        if periodic.bell is None:
            self._due[periodic] = self._clock.monotonic() + periodic.every_s
        else:
            self._silent.append(periodic)
        return True

    def _hear(self) -> None:
        for each in list(self._silent):
            if each.bell is not None and each.bell.answer():
                self._silent.remove(each)
                self._due[each] = self._clock.monotonic() + each.every_s

    def start(self) -> None:
        """Start the thread under its name, unless it runs or was told to stop."""
        with self._lock:
            if self.is_alive() or self._stop.is_set():
                return
            thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            thread.start()
            self._thread = thread

    def is_told_to_stop(self) -> bool:
        """Whether the thread has ended or will, on purpose."""
        return self._stop.is_set()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def tell_to_stop(self) -> None:
        """Ask the thread to end at its next wait."""
        self._stop.set()

    def join(self, within_s: float) -> bool:
        """Wait for the thread's end; whether it ended."""
        with self._lock:  # a start that is under way comes before us
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(within_s)
        return not self.is_alive()

    def _run(self) -> None:
        if self._greeting:
            log.info("%s", self._greeting)
        while self.turn():
            pass

    def _attempt(self, periodic: Periodic) -> None:
        # One of the few places that may catch everything: a thread must outlive its work.
        try:
            periodic.do()
        except AgentError as error:
            self._complain(periodic, describe(error), error)
        except Exception as error:  # noqa: BLE001 - the thread must survive any defect
            self._complain(periodic, describe(error), error, unexpected=True)

    def _complain(
        self, periodic: Periodic, why: str, error: Exception, *, unexpected: bool = False
    ) -> None:
        if self._quietly.may_say(f"{periodic.name}: {why}"):
            named = periodic.known_as
            log.warning(
                "%s: %s --- [NOTE: Will not log the same error for the next hour]",
                f"Error in {named}" if named else f"Cannot {periodic.name}",
                why,
                exc_info=error if unexpected else None,
            )


class Workers:
    """All threads of a process beside its main one."""

    def __init__(self, workers: Sequence[Worker], clock: Clock) -> None:
        self._workers = tuple(workers)
        self._clock = clock

    def start(self) -> None:
        """Start all, in order."""
        for worker in self._workers:
            worker.start()

    def revive(self) -> None:
        """Start again any that died; not one that was told to stop."""
        for worker in self._workers:
            if not worker.is_alive() and not worker.is_told_to_stop():
                log.warning("%s thread died, restarting", worker.name)
                worker.start()

    def stop(self, within_s: float) -> None:
        """Tell all to stop, then wait for them in reverse order, all within the time."""
        for worker in reversed(self._workers):
            worker.tell_to_stop()
        deadline = self._clock.monotonic() + within_s
        for worker in reversed(self._workers):
            if not worker.join(max(0.0, deadline - self._clock.monotonic())):
                log.warning("%s did not stop within %g s and is left behind", worker.name, within_s)
