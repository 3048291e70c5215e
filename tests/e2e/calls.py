"""Calls of an extension's command, as its own record has them: order, folder, environment."""

from __future__ import annotations

import re
from typing import Optional

_SETTINGS_MODE = re.compile(r"^settings_mode=(.*)$", re.MULTILINE)
# The control group is the machine's own; the mode of settings has a row in docs/parity.md.
_APART = ("cgroup=", "settings_mode=")


def read_calls(text: str, *, nice: int = 0) -> list[list[str]]:
    """Each call with what it saw, but for its time; `nice` is what the daemon was started with."""
    found: list[list[str]] = []
    text = text.replace(f" nice={nice}\n", " nice=0\n")
    for line in text.replace("Oracle", "Fabric").splitlines():
        if line.startswith("== "):
            found.append([line.partition(" t=")[0]])
        elif not line.startswith(_APART):
            found[-1].append(line)
    return found


def number_of(call: list[str], handler: str) -> Optional[int]:
    """The sequence number of a handler's `enable`, None for any other call."""
    if not call[0].startswith(f"== enable handler={handler}"):
        return None
    line = next(line for line in call if line.startswith("env ConfigSequenceNumber="))
    return int(line.rpartition("=")[2])


def settings_modes(text: str) -> set[str]:
    """Mode and owner of the settings that the calls read."""
    return set(_SETTINGS_MODE.findall(text))
