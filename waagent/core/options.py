"""How one option of waagent.conf is declared, read from text and shown as text.

A maker (`switch`, `text`, `path`, `number`, `seconds`) stands where a dataclass field's default
stands, so that an option is said once and everything else walks the fields. The options
themselves are in the ``conf_*`` modules; files and lines are the business of ``conf``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Optional, TypeVar, Union

from waagent.core.records import dataclass, field, fields

Value = Union[bool, int, str, None]

DISTROS = (
    "alpine",
    "arch",
    "chainguard",
    "clearlinux",
    "coreos",
    "debian",
    "devuan",
    "mariner",
    "photonos",
    "suse",
    "ubuntu",
)
"""Distributions with a file of their own below config/ (spec CLI 2.4, Linux only)."""

GENERIC_ONLY: Mapping[str, Optional[str]] = MappingProxyType(dict.fromkeys(DISTROS))
"""For an option that only the generic file carries."""

_LARGEST = 2**31 - 1
_YEAR_S = 366 * 24 * 3600

SwitchT = TypeVar("SwitchT", bound=Optional[bool])
TextT = TypeVar("TextT", bound=Optional[str])
NumberT = TypeVar("NumberT", bound=Optional[int])
AnyT = TypeVar("AnyT")


class Kind(enum.Enum):
    """What a value may be; the enum's value is the word for it in the manual."""

    SWITCH = "y or n"
    TEXT = "text"
    PATH = "path"
    NUMBER = "number"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Limits:
    """What narrows an option's values beyond its kind."""

    choices: tuple[str, ...] = ()
    otherwise: Optional[str] = None  # for a word that is no choice; the default when None
    pattern: Optional[str] = None
    least: int = 0
    most: int = _LARGEST


@dataclass(frozen=True)
class Option:
    """One key of waagent.conf.

    ``shipped`` is the generic file's text: None when the key is not in it, ``#y`` when it is
    there but commented out. ``distros`` has what differs in a distribution's own file.
    ``follows`` names the key whose value stands in when this one has none.
    """

    key: str
    kind: Kind
    default: Value
    meaning: str
    shipped: Optional[str] = None
    distros: Mapping[str, Optional[str]] = field(default_factory=dict)
    listed: bool = True
    follows: Optional[str] = None
    limits: Limits = Limits()

    def shipped_in(self, distro: Optional[str]) -> Optional[str]:
        """Say what the file of ``distro`` (None: the generic one) carries, as ``shipped`` does."""
        if distro is None:
            return self.shipped
        return self.distros.get(distro, self.shipped)


@dataclass(frozen=True)
class Reading:
    """What a text in the file comes to; ``complaint`` is None when it was taken as written.

    ``usable`` is False when the option's default has to stand in.
    """

    value: Value = None
    complaint: Optional[str] = None
    usable: bool = True


def parse_value(option: Option, raw: str) -> Reading:
    """Read a value that is present; whatever the text, say what it comes to (spec CLI 2.2)."""
    if option.kind is Kind.SWITCH:
        return _parse_switch(raw)
    if option.kind in (Kind.NUMBER, Kind.SECONDS):
        return _parse_number(raw, option.limits)
    return _parse_text(raw, option)


def show_value(value: Value) -> str:
    """Show a value as the file would have it, for messages and the manual."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return "y" if value else "n"
    return str(value)


def _parse_switch(raw: str) -> Reading:
    if raw.lower() in ("y", "n"):
        return Reading(raw.lower() == "y")
    return Reading(complaint="it is neither y nor n", usable=False)


def _parse_number(raw: str, limits: Limits) -> Reading:
    try:
        number = int(raw)
    except ValueError:
        return Reading(complaint="it is not a whole number", usable=False)
    if number < limits.least:
        return Reading(limits.least, f"the least is {limits.least}")
    if number > limits.most:
        return Reading(limits.most, f"the most is {limits.most}")
    return Reading(number)


def _parse_text(raw: str, option: Option) -> Reading:
    limits = option.limits
    if "\0" in raw:
        return Reading(complaint="it has a NUL in it", usable=False)
    if option.kind is Kind.PATH and not (raw.startswith("/") and raw.strip("/.")):
        return Reading(complaint="it is not an absolute path below /", usable=False)
    if limits.pattern is not None and not re.fullmatch(limits.pattern, raw):
        return Reading(complaint=f"it does not look like {limits.pattern}", usable=False)
    if limits.choices and raw not in limits.choices:
        complaint = f"it is none of {', '.join(limits.choices)}"
        if limits.otherwise is None:
            return Reading(complaint=complaint, usable=False)
        return Reading(limits.otherwise, complaint)
    return Reading(raw)


# The makers return a dataclass field, and say that they return the field's type: what a reader
# of ``conf.resource_disk.format`` gets is a bool, and mypy knows it.


def switch(
    key: str,
    default: SwitchT,
    meaning: str,
    *,
    shipped: Optional[str] = None,
    distros: Optional[Mapping[str, Optional[str]]] = None,
    listed: bool = True,
    follows: Optional[str] = None,
) -> SwitchT:
    """Declare an option that is on or off; a default of None means that unset is a third state."""
    option = Option(key, Kind.SWITCH, default, meaning, shipped, distros or {}, listed, follows)
    return _declared(option, default)


def text(
    key: str,
    default: TextT,
    meaning: str,
    *,
    shipped: Optional[str] = None,
    distros: Optional[Mapping[str, Optional[str]]] = None,
    limits: Optional[Limits] = None,
) -> TextT:
    """Declare an option whose value is taken as it stands."""
    option = Option(
        key, Kind.TEXT, default, meaning, shipped, distros or {}, limits=limits or Limits()
    )
    return _declared(option, default)


def path(
    key: str,
    default: str,
    meaning: str,
    *,
    shipped: Optional[str] = None,
    distros: Optional[Mapping[str, Optional[str]]] = None,
) -> str:
    """Declare an option that names a file or folder by its absolute path."""
    option = Option(key, Kind.PATH, default, meaning, shipped, distros or {})
    return _declared(option, default)


def number(
    key: str,
    default: NumberT,
    meaning: str,
    *,
    shipped: Optional[str] = None,
    least: int = 0,
    most: int = _LARGEST,
) -> NumberT:
    """Declare an option that is a whole number from ``least`` to ``most``."""
    limits = Limits(least=least, most=most)
    option = Option(key, Kind.NUMBER, default, meaning, shipped, limits=limits)
    return _declared(option, default)


def seconds(
    key: str,
    default: int,
    meaning: str,
    *,
    shipped: Optional[str] = None,
    distros: Optional[Mapping[str, Optional[str]]] = None,
    listed: bool = True,
    follows: Optional[str] = None,
    least: int = 1,
) -> int:
    """Declare a period or time limit; at least a second, so that no loop can spin."""
    limits = Limits(least=least, most=_YEAR_S)
    option = Option(
        key, Kind.SECONDS, default, meaning, shipped, distros or {}, listed, follows, limits
    )
    return _declared(option, default)


def heading(words: str) -> dict[str, str]:
    """Metadata of a section's field: its heading in the file and in the manual."""
    return {"heading": words}


@dataclass(frozen=True)
class Declared:
    """An option and where its value lives: ``conf.<section>.<name>``."""

    section: str
    name: str
    option: Option


@dataclass(frozen=True)
class Group:
    """The options of one section, in the order in which they are declared."""

    section: str
    heading: str
    options: tuple[Declared, ...]


def groups_of(conf_type: type[Any]) -> tuple[Group, ...]:
    """List the sections of a configuration class and the options in each."""
    groups = []
    for part in fields(conf_type):
        if "heading" in part.metadata:
            section: Any = part.default
            declared = tuple(
                Declared(part.name, each.name, each.metadata["option"])
                for each in fields(section)
                if "option" in each.metadata
            )
            groups.append(Group(part.name, part.metadata["heading"], declared))
    return tuple(groups)


def _declared(option: Option, default: AnyT) -> AnyT:
    return field(default=default, metadata={"option": option})
