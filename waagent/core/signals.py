"""Signal handlers that only set a flag."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from types import FrameType
from typing import Optional

from waagent.core.clock import Stop

TERMINATION = (signal.SIGTERM, signal.SIGINT)


def ends_of_a_daemon() -> tuple[signal.Signals, ...]:
    """What ends a daemon: a hang-up too, unless whoever started it has that ignored, nohup(1).

    There is no configuration to read again (spec CLI 2), and dying of it left our child behind.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return TERMINATION if is_ignored else (*TERMINATION, signal.SIGHUP)


def stop_on(stop: Stop, numbers: Iterable[signal.Signals] = TERMINATION) -> None:
    """Set ``stop`` when one of the signals arrives; nothing else happens in the handler."""

    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        stop.set()

    stop.wake_on_signals()
    for number in numbers:
        signal.signal(number, handle)
