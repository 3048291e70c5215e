"""Which distribution this is: os-release, and the marker files that overrule it.

Values are those that the fabric has always been told (spec DAEMON 10.1).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from waagent.core import files
from waagent.core.rooted import Rooted

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
LIMIT = 64 * 1024
RENAMED = {"ol": "oracle", "opensuse-leap": "opensuse"}
MARKERS = (
    ("/etc/euleros-release", "euleros"),
    ("/etc/UnionTech-release", "uos"),
    ("/etc/mariner-release", "mariner"),
    ("/etc/photon-release", "photonos"),
    ("/etc/alpaquita-release", "alpaquita"),
)
_CODENAME = re.compile(r"\((\D+)\)|,\s*(\D+)")
_RUNS = re.compile(r"\d+|[^\W\d_]+")


class Release(NamedTuple):
    """A distribution: ``debian``, ``12``, ``bookworm``, and its long name.

    A dataclass would bring in a good part of the standard library, and `-version` with it.
    """

    name: str
    version: str = ""
    codename: str = ""
    full_name: str = ""

    def is_at_least(self, *numbers: int) -> bool:
        """Whether the version is this one or later; a version without numbers counts as newest."""
        mine = tuple(int(run) for run in _RUNS.findall(self.version) if run.isdigit())
        if not mine:
            return True
        length = max(len(mine), len(numbers))
        return _padded(mine, length) >= _padded(numbers, length)


def read_release(system: Rooted) -> Release:
    """The distribution of this guest; unknown parts are empty."""
    release = parse_os_release(_read_os_release(system))
    name, codename, full_name = release.name, release.codename, release.full_name
    if system.path("/etc/oracle-release").exists():
        codename, full_name = "oracle", "Oracle Linux"
    for marker, marked in MARKERS:
        if system.path(marker).exists():
            name = marked
    return Release(name, release.version, codename, full_name)


def parse_os_release(text: str) -> Release:
    """The distribution that an os-release text names."""
    values = _assignments(text)
    name = values.get("ID", "linux").strip().lower().replace(" ", "_")
    return Release(
        name=RENAMED.get(name, name),
        version=values.get("VERSION_ID", ""),
        codename=_codename(values),
        full_name=values.get("NAME", ""),
    )


def _codename(values: Mapping[str, str]) -> str:
    for key in ("VERSION_CODENAME", "UBUNTU_CODENAME"):
        if key in values:
            return values[key]
    match = _CODENAME.search(values.get("VERSION", ""))
    return (match[1] or match[2]).strip() if match else ""


def _read_os_release(system: Rooted) -> str:
    for name in OS_RELEASE:
        text = files.read_if_there(system.path(name), limit=LIMIT)
        if text is not None:
            return text
    return ""


def _assignments(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value)) if value[:1] in ("'", '"') else value
    except ValueError:  # an open quote
        return value.strip("'\"")


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))
