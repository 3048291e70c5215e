"""The fabric's time stamps: ticks of 100 ns since year 1, as text that can be compared.

Both sources of extensions are compared by this text, so both must go through this one function,
float and all: exact arithmetic differs by some microseconds (spec WIRE 3.7.6).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Union

from waagent.protocol.documents.json_fields import parse_integer

MIN_TIMESTAMP = "0001-01-01T00:00:00.000000Z"

_YEAR_ONE = datetime(1, 1, 1, tzinfo=timezone.utc)


def parse_ticks(ticks: Union[str, int, None]) -> str:
    """The UTC timestamp; what is absent or no time is the smallest one."""
    number = parse_integer(ticks) if isinstance(ticks, str) else ticks
    if number is None or isinstance(number, bool):
        return MIN_TIMESTAMP
    try:
        moment = _YEAR_ONE + timedelta(seconds=float(number) / 10**7)
    except OverflowError:
        return MIN_TIMESTAMP
    # Not strftime: it drops the zeros of early years.
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
