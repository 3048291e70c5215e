"""Which files belong to packages of the distribution; nothing is installed or removed."""

from __future__ import annotations

from collections.abc import Collection

from waagent.core.errors import CommandTimedOut
from waagent.core.system import System

TIMEOUT_S = 60.0
_ASKED_ONE_BY_ONE = (("rpm", "-qf"), ("pacman", "-Qqo"), ("apk", "info", "-W"))


def find_packaged(system: System, paths: Collection[str]) -> frozenset[str]:
    """Those of these files that a package manager here says are a package's.

    On merged systems a package may name a file below ``/lib`` that is below ``/usr/lib``, or the
    other way round. A manager that does not answer in time has not said no.
    """
    names = {path: (path, _other_name(path)) for path in paths}
    if not names:
        return frozenset()
    try:
        found = _ask_dpkg(system, [name for both in names.values() for name in both])
        for question in _ASKED_ONE_BY_ONE:
            if system.has_command(question[0]):
                found |= {
                    name
                    for both in names.values()
                    for name in both
                    if system.run(*question, name, timeout_s=TIMEOUT_S).ok
                }
    except CommandTimedOut:
        return frozenset(paths)
    return frozenset(path for path, both in names.items() if found.intersection(both))


def _ask_dpkg(system: System, names: list[str]) -> set[str]:
    """One question for all: each takes a walk through the lists of all packages."""
    if not system.has_command("dpkg-query"):
        return set()
    said = system.run("dpkg-query", "-S", *names, timeout_s=TIMEOUT_S).stdout
    return {line.rpartition(": ")[2] for line in said.splitlines()}


def _other_name(path: str) -> str:
    return path[len("/usr") :] if path.startswith("/usr/lib/") else f"/usr{path}"
