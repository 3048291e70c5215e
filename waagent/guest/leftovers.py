"""What a userdel that was cut off leaves of an account whose line in /etc/passwd is gone."""

from __future__ import annotations

import contextlib

from waagent.core import files
from waagent.core.system import System
from waagent.guest import selinux
from waagent.guest.account_locks import shadow_lock
from waagent.guest.accounts import read_local_accounts

_WITH_ACCOUNT = ("shadow", "subuid", "subgid")
_WITH_GROUP = ("gshadow", "group")  # the group last: what is left of it is known by it
_MEMBERS = 3


def remove_leftovers(system: System, name: str, *, gid: int) -> bool:
    """Remove the lines of an account that is gone; whether there were any.

    The group of its name goes too if it has that number, and nobody is in it. Raises ``OSError``.
    """
    start = f"{name}:".encode()
    with shadow_lock(system):
        if any(account.name == name for account in read_local_accounts(system)):
            return False
        removed = [_remove_lines(system, file, start) for file in _WITH_ACCOUNT]
        if _is_its_own(system, start, gid):
            removed += [_remove_lines(system, file, start) for file in _WITH_GROUP]
    return any(removed)


def _is_its_own(system: System, start: bytes, gid: int) -> bool:
    """Whether the group is that user's and nobody else's; one that is gone left a shadow only."""
    if any(account.gid == gid for account in read_local_accounts(system)):
        return False
    for line in _lines(system, "group"):
        if line.startswith(start):
            fields = line.rstrip(b"\n").split(b":")
            return len(fields) > _MEMBERS and fields[2] == b"%d" % gid and not fields[_MEMBERS]
    return True


def _remove_lines(system: System, file: str, start: bytes) -> bool:
    lines = _lines(system, file)
    kept = [line for line in lines if not line.startswith(start)]
    if kept == lines:
        return False
    selinux.rewrite(system.path(f"/etc/{file}"), b"".join(kept))
    return True


def _lines(system: System, file: str) -> list[bytes]:
    with contextlib.suppress(FileNotFoundError):
        return files.read(system.path(f"/etc/{file}")).splitlines(keepends=True)
    return []
