"""Tells what happens while it happens: the agent's log, and what the fabric is asked."""

from __future__ import annotations

import re
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

LOG_LINE = re.compile(r"(\d{4}-\d\d-\d\dT[\d:]+\.\d{6}Z) ([A-Z]+) (\S+) (\S+) (.*)")
LOOK_EVERY_S = 0.05
SETTLE_S = 0.3
WIDTH = 118
# Of the agent's log, the steps that a person wants to see; warnings and errors are all shown.
STEPS = re.compile(
    "|".join(
        (
            "Azure Linux Agent ",
            r"Using \S+ for provisioning",
            "Copying ovf-env",
            "Successfully mounted dvd",
            r"\S+ is already mounted",
            "No route exists",
            "Send dhcp request",
            "Routes:",
            "Wire protocol version",
            "Downloaded certificate",
            "Starting provisioning",
            "Set hostname",
            "Publish hostname",
            "Create user",
            "Set user password",
            "Configure ",
            "Deploy ssh",
            "Save custom data",
            "The fingerprint",
            "Provisioning (complete|failed|already)",
            "Reported ",
            r"Agent \S+ launched",
            "Goal state initialization",
            "Download succeeded",
            r"(Install|Enable|Update|Disable|Uninstall) extension",
            "ProcessExtensionsGoalState completed",
        )
    )
)


@dataclass(frozen=True)
class Line:
    """One line of the story."""

    seconds: float
    who: str
    text: str


class Narrator:
    """Prints lines a moment after they come, so that those of two sources are in order."""

    def __init__(self) -> None:
        self._began = time.time()
        self._lines: list[Line] = []
        self._waiting: list[Line] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._print_later, name="narrator", daemon=True)

    def __enter__(self) -> Narrator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self.flush()

    def begin(self) -> None:
        """Count the seconds from now."""
        self._began = time.time()

    def say(self, who: str, text: str, at: Optional[float] = None) -> None:
        """Tell one thing."""
        line = Line((at if at is not None else time.time()) - self._began, who, text)
        with self._lock:
            self._lines.append(line)
            self._waiting.append(line)

    def tell_event(self, event: dict[str, Any]) -> None:
        """What the fabric's story says."""
        self.say("fabric", event["text"], event["time"])

    def seconds_of(self, who: str, start: str) -> Optional[float]:
        """When somebody first said something that begins so."""
        with self._lock:
            found = (x.seconds for x in self._lines if x.who == who and x.text.startswith(start))
            return next(found, None)

    def flush(self) -> None:
        """Print everything that was said."""
        self._print(float("inf"))

    def _print_later(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self._print(time.time() - self._began - SETTLE_S)

    def _print(self, until_s: float) -> None:
        with self._lock:
            ripe = sorted((x for x in self._waiting if x.seconds <= until_s), key=_second)
            self._waiting = [x for x in self._waiting if x.seconds > until_s]
            for line in ripe:
                text = line.text
                shown = text if len(text) <= WIDTH - 18 else text[: WIDTH - 21] + "..."
                sys.stdout.write(f"{line.seconds:7.2f}  {line.who:<7} {shown}\n")
            sys.stdout.flush()


def _second(line: Line) -> float:
    return line.seconds


class LogReader:
    """Follows the agent's log in the guest, from a thread."""

    def __init__(self, path: Path, narrator: Narrator) -> None:
        self._path = path
        self._narrator = narrator
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log", daemon=True)

    def __enter__(self) -> LogReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self._read()
        self._read()

    def _read(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return  # it is not there yet, or the guest is gone
        whole = text[: text.rfind("\n") + 1]
        for line in whole[self._seen :].splitlines():
            self._tell(line)
        self._seen = len(whole)

    def _tell(self, line: str) -> None:
        found = LOG_LINE.match(line)
        if found is None:
            return
        stamp, level, _, _, message = found.groups()
        at = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        if level in ("WARNING", "ERROR"):
            self._narrator.say("AGENT", f"{level}: {message}", at)
        elif STEPS.match(message):
            self._narrator.say("agent", message, at)
