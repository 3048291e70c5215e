"""RemoteAccess: the users that the fabric wants just in time (spec WIRE 11.2)."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass, field

MAX_USERS = 100  # the fabric delivers at most 10

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOMENT = re.compile(
    r"[A-Za-z]{3}, ([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) "
    r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2}) (?:GMT|UTC)"
)


@dataclass(frozen=True)
class RemoteUser:
    """One account; the password is still encrypted to the transport certificate."""

    name: str
    encrypted_password: Optional[str] = field(default=None, repr=False)
    expiration: Optional[str] = None

    @property
    def expires_at(self) -> Optional[datetime]:
        """The expiration in UTC, or ``None`` when it is not a date of the fabric's form."""
        match = _MOMENT.fullmatch((self.expiration or "").strip())
        if match is None or match.group(2).title() not in _MONTHS:
            return None
        day, _, year, hour, minute, second = match.groups()
        month = _MONTHS.index(match.group(2).title()) + 1
        try:
            return datetime(
                int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=timezone.utc
            )
        except ValueError:
            return None

    def __repr__(self) -> str:
        moment = self.expires_at
        expires_at = f"{moment.replace(tzinfo=None).isoformat()}Z" if moment is not None else None
        return (
            f"RemoteUser(name={self.name!r}, expiration={self.expiration!r},"
            f" expires_at={expires_at!r})"
        )


@dataclass(frozen=True)
class RemoteAccess:
    """All users in document order; ``notes`` says which entries could not be used."""

    users: tuple[RemoteUser, ...]
    incarnation: Optional[str] = None
    version: Optional[str] = None
    notes: tuple[str, ...] = ()


def parse_remote_access(data: bytes) -> RemoteAccess:
    """The remote access document; an entry without a name is left out, with a note."""
    document = xml.parse(data, "the remote access document", "RemoteAccess")
    nodes = document.many("Users/User")
    if len(nodes) > MAX_USERS:
        raise document.error(f"{len(nodes)} users are over {MAX_USERS}")
    users: list[RemoteUser] = []
    notes: list[str] = []
    for node in nodes:
        name = node.maybe_text("Name")
        if name is None:
            notes.append("Left out a remote access user without a name")
            continue
        users.append(RemoteUser(name, node.maybe_text("Password"), node.maybe_text("Expiration")))
    return RemoteAccess(
        users=tuple(users),
        incarnation=document.maybe_text("Incarnation"),
        version=document.maybe_text("Version"),
        notes=tuple(notes),
    )
