"""Signal handlers that only set a flag."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from types import FrameType
from typing import Optional

from waagent.core.clock import Stop

TERMINATION = (signal.SIGTERM, signal.SIGINT)


def stop_on(stop: Stop, numbers: Iterable[signal.Signals] = TERMINATION) -> None:
    """Set ``stop`` when one of the signals arrives; nothing else happens in the handler."""

    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        stop.set()

    stop.wake_on_signals()
    for number in numbers:
        signal.signal(number, handle)
