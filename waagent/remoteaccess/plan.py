"""What is to be done about just-in-time users: wanted and present, to a plan. Pure.

Source: spec EXT 11 (table), WIRE 11.2; docs/parity.md says where we differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Optional

from waagent.core.records import dataclass
from waagent.protocol.documents.remoteaccess import RemoteAccess, RemoteUser


@dataclass(frozen=True)
class JitAccount:
    """An account of ours on this machine.

    ``is_whole``: it has its password, which it gets last. ``last_day`` is when the machine itself
    closes it, ``None`` for never.
    """

    name: str
    is_whole: bool = True
    last_day: Optional[date] = None


@dataclass(frozen=True)
class Grant:
    """A user who is wanted now, and until when."""

    user: RemoteUser
    expires: datetime

    @property
    def last_day(self) -> date:
        """The day from which the machine lets nobody in, should we not be there: one too late."""
        day = self.expires.date()
        return day if day == date.max else day + timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """Accounts to add (or to finish), to close on another day, to remove; and what is wrong."""

    add: tuple[Grant, ...] = ()
    extend: tuple[Grant, ...] = ()
    remove: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def expired(access: Optional[RemoteAccess], now: datetime) -> frozenset[str]:
    """The names whose time is over: once that changes, there is something to do."""
    users = access.users if access is not None else ()
    return frozenset(each.name for each in users if _is_over(each.expires_at, now))


def plan_users(
    access: Optional[RemoteAccess], present: Iterable[JitAccount], now: datetime
) -> Plan:
    """What makes the accounts of ours those that are wanted now.

    A user whose expiration cannot be read is neither added nor removed. Of several entries of a
    name the one that lasts longest counts.
    """
    held = {each.name: each for each in present}
    users, notes = _by_name(access)
    add, extend = [], []
    for user in users.values():
        expires, account = user.expires_at, held.get(user.name)
        if expires is None or _is_over(expires, now):
            continue
        grant = Grant(user, expires)
        if account is None or not account.is_whole:
            add.append(grant)
        elif account.last_day != grant.last_day:
            extend.append(grant)
    over = {name for name, user in users.items() if _is_over(user.expires_at, now)}
    remove = tuple(name for name in held if name not in users or name in over)
    return Plan(tuple(add), tuple(extend), remove, notes)


def _by_name(access: Optional[RemoteAccess]) -> tuple[dict[str, RemoteUser], tuple[str, ...]]:
    users: dict[str, RemoteUser] = {}
    notes = list(access.notes if access is not None else ())
    for user in access.users if access is not None else ():
        if user.expires_at is None:
            notes.append(
                f"cannot use the expiration of the remote access user {user.name}:"
                f' "{user.expiration or ""}" is no date like "Fri, 31 Jan 2025 10:00:00 GMT"'
            )
        known = users.get(user.name)
        if known is None or _lasts_longer(user.expires_at, known.expires_at):
            users[user.name] = user
    return users, tuple(notes)


def _lasts_longer(one: Optional[datetime], other: Optional[datetime]) -> bool:
    return one is not None and (other is None or one > other)


def _is_over(expires: Optional[datetime], now: datetime) -> bool:
    return expires is not None and now > expires
