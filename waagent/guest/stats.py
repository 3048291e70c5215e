"""Figures of this machine for telemetry and status: versions, memory, processors, uptime."""

from __future__ import annotations

import os
import re
from typing import Optional

from waagent.core import files
from waagent.core.system import System
from waagent.guest.release import Release

LARGEST = 1024 * 1024  # /proc/sys refuses to be read with a larger buffer
_TOTAL = re.compile(r"^MemTotal:\s+(\d+) kB", re.MULTILINE)
_PROCESSOR = re.compile(r"^processor\s*:", re.MULTILINE)


def os_version_text(system: System, release: Release) -> str:
    """``Linux:debian-12-bookworm:6.1.0-50-cloud-amd64`` (spec WIRE 8.5)."""
    kernel = _read(system, "/proc/sys/kernel/osrelease")
    return f"Linux:{release.name}-{release.version}-{release.codename}:{kernel}"


def ram_mb(system: System) -> int:
    """The memory that the kernel manages, in MiB; 0 when it does not tell."""
    match = _TOTAL.search(_read(system, "/proc/meminfo"))
    return int(match[1]) // 1024 if match else 0


def processors(system: System) -> int:
    """How many processors are online; at least 1."""
    count = 0
    for part in _read(system, "/sys/devices/system/cpu/online").split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match:
            count += int(match[2] or match[1]) - int(match[1]) + 1
    return count or max(1, len(_PROCESSOR.findall(_read(system, "/proc/cpuinfo"))))


def uptime_s(system: System) -> float:
    """Seconds since the kernel started; 0 when it does not tell."""
    words = _read(system, "/proc/uptime").split()
    try:
        return float(words[0]) if words else 0.0
    except ValueError:
        return 0.0


def read_boot(system: System) -> Optional[str]:
    """The id of this boot, which no other has; ``None`` when the kernel does not tell."""
    return _read(system, "/proc/sys/kernel/random/boot_id") or None


def architecture() -> str:
    """The processor architecture as uname(2) has it: ``x86_64``, ``aarch64``."""
    return os.uname().machine


def _read(system: System, path: str) -> str:
    return (files.read_if_there(system.path(path), limit=LARGEST) or "").strip()
