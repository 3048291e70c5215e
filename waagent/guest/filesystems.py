"""Which file systems the kernel can mount, and what keeps it from loading the module of one.

Hardened images switch off udf, and small ones leave it out: the media cannot be mounted then, and
all that mount says is "unknown filesystem type".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Optional

from waagent.core import files
from waagent.core.system import System

KNOWN = "/proc/filesystems"
KERNEL = "/proc/sys/kernel/osrelease"
MODPROBE = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
LARGEST = 4 * 1024 * 1024
MOST_FILES = 200


def find_obstacles(system: System, names: Sequence[str]) -> list[str]:
    """For each file system that the kernel does not know: why, and what to do about it."""
    known = (files.read_if_there(system.path(KNOWN), limit=LARGEST) or "").split()
    return [_explain(system, name) for name in names if name not in known]


def _explain(system: System, name: str) -> str:
    switch = _find_switch(system, name)
    if switch is not None:
        return f"{name} is switched off by {switch}: take that line out"
    kernel = (files.read_if_there(system.path(KERNEL)) or "").strip()
    if not _has_module(system, kernel, name):
        return f"the kernel {kernel} has no module {name}: install the package with its modules"
    return f"the module {name} is not loaded: see what modprobe {name} says"


def _find_switch(system: System, name: str) -> Optional[str]:
    """The line of modprobe.d(5) that keeps the module from being loaded when it is asked for."""
    off = re.compile(rf"\s*(blacklist\s+{name}|install\s+{name}\s+\S*/?(true|false))\s*(#.*)?")
    for path, line in _modprobe_lines(system):
        if off.fullmatch(line):
            return f'"{" ".join(line.split())}" in {path}'
    return None


def _modprobe_lines(system: System) -> Iterator[tuple[str, str]]:
    for folder in MODPROBE:
        found = system.path(folder)
        names = sorted(found.glob("*.conf"))[:MOST_FILES] if found.is_dir() else []
        for path in names:
            for line in (files.read_if_there(path, limit=LARGEST) or "").splitlines():
                yield f"{folder}/{path.name}", line


def _has_module(system: System, kernel: str, name: str) -> bool:
    """Whether depmod has listed the module, which may be compressed."""
    text = files.read_if_there(system.path(f"/lib/modules/{kernel}/modules.dep"), limit=LARGEST)
    return any(f"/{name}.ko" in line.partition(":")[0] for line in (text or "").splitlines())
