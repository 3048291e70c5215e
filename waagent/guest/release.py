"""Which distribution this is: os-release, older files where there is none, and marker files.

Values are those that the fabric has always been told (spec DAEMON 10.1).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple, Optional

from waagent.core import files
from waagent.core.rooted import Rooted

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
LIMIT = 64 * 1024
RENAMED = {"ol": "oracle", "opensuse-leap": "opensuse"}
# Before os-release: "CentOS Linux release 7.9.2009 (Core)"
OLD_FILES = ("/etc/oracle-release", "/etc/centos-release", "/etc/redhat-release")
OLD_NAMES = {"red": "rhel"}
DEBIAN_VERSION = "/etc/debian_version"
MARKERS = (
    ("/etc/euleros-release", "euleros"),
    ("/etc/UnionTech-release", "uos"),
    ("/etc/mariner-release", "mariner"),
    ("/etc/photon-release", "photonos"),
    ("/etc/alpaquita-release", "alpaquita"),
)
_CODENAME = re.compile(r"\((\D+)\)|,\s*(\D+)")
_OLD_LINE = re.compile(r"(\S+).*? release (\d[\w.]*)(?:.*\((.+)\))?")
_PRECISE = re.compile(r"\d+(?:\.\d+)+")
_RUNS = re.compile(r"\d{1,9}|[^\W\d_]+")  # a number without end is no number


class Release(NamedTuple):
    """A distribution: ``debian``, ``12``, ``bookworm``, its long name, and what it is like.

    A dataclass would bring in a good part of the standard library, and `-version` with it.
    """

    name: str
    version: str = ""
    codename: str = ""
    full_name: str = ""
    like: tuple[str, ...] = ()

    def is_at_least(self, *numbers: int) -> bool:
        """Whether the version is this one or later; a version without numbers counts as newest."""
        mine = tuple(int(run) for run in _RUNS.findall(self.version) if run.isdigit())
        if not mine:
            return True
        length = max(len(mine), len(numbers))
        return _padded(mine, length) >= _padded(numbers, length)


def read_release(system: Rooted) -> Release:
    """The distribution of this guest; unknown parts are empty."""
    text = _read_first(system, OS_RELEASE)
    if text is None:
        release = parse_old_release(_read_first(system, OLD_FILES) or "")
    else:
        release = parse_os_release(text)
    if system.path("/etc/oracle-release").exists():
        release = release._replace(codename="oracle", full_name="Oracle Linux")
    for marker, marked in MARKERS:
        if system.path(marker).exists():
            release = release._replace(name=marked)
    return release._replace(version=_version_here(system, release, text or ""))


def parse_os_release(text: str) -> Release:
    """The distribution that an os-release text names."""
    values = _assignments(text)
    return Release(
        name=_name_of(values.get("ID", "linux")),
        version=values.get("VERSION_ID", ""),
        codename=_codename(values),
        full_name=values.get("NAME", ""),
        like=tuple(_name_of(name) for name in values.get("ID_LIKE", "").split()),
    )


def parse_old_release(text: str) -> Release:
    """The distribution that a file in the manner of redhat-release names."""
    match = _OLD_LINE.match(text)
    if match is None:
        return Release("linux")
    word, full_name = match[1].lower(), text.partition(" release ")[0]
    return Release(OLD_NAMES.get(word, word), match[2], match[3] or "", full_name, ("rhel",))


def _version_here(system: Rooted, release: Release, text: str) -> str:
    """VERSION_ID, but the most precise one of Mariner, and what a testing Debian calls itself."""
    if "mariner" in release.name:
        marker = files.read_if_there(system.path("/etc/mariner-release"), limit=LIMIT) or ""
        texts = (release.version, _assignments(text).get("VERSION", ""), marker)
        known = [match[0] for match in map(_PRECISE.search, texts) if match]
        return max(known, key=lambda each: each.count("."), default=release.version)
    if release.name == "debian" and not release.version:
        return (files.read_if_there(system.path(DEBIAN_VERSION), limit=LIMIT) or "").strip()
    return release.version


def _name_of(text: str) -> str:
    name = text.strip().lower().replace(" ", "_")
    return RENAMED.get(name, name)


def _codename(values: Mapping[str, str]) -> str:
    for key in ("VERSION_CODENAME", "UBUNTU_CODENAME"):
        if key in values:
            return values[key]
    match = _CODENAME.search(values.get("VERSION", ""))
    return (match[1] or match[2]).strip() if match else ""


def _read_first(system: Rooted, names: tuple[str, ...]) -> Optional[str]:
    """The text of the first of the files that is there."""
    texts = (files.read_if_there(system.path(name), limit=LIMIT) for name in names)
    return next((text for text in texts if text is not None), None)


def _assignments(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    try:
        if value[:1] in ("'", '"'):
            return "".join(shlex.split(value))
    except ValueError:
        pass
    return value.strip("'\"")  # an open quote


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))
