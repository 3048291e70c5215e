"""Kernel modules of RDMA: which one a name stands for, whether it is loaded, load it."""

from __future__ import annotations

from typing import Optional

from waagent.core import files
from waagent.core.commands import Result
from waagent.core.system import System
from waagent.rdma.texts import parse_module_version

ALIAS = "hv_network_direct"
TIMEOUT_S = 60.0


def resolve(system: System, name: str = ALIAS) -> Optional[str]:
    """The module that the name stands for, if modprobe knows any."""
    result = system.run("modprobe", "-R", name, timeout_s=TIMEOUT_S)
    lines = result.stdout.split()
    return lines[0] if result.ok and lines else None


def exists(system: System, name: str) -> bool:
    """Whether there is such a module for this kernel."""
    return system.run("modinfo", name, timeout_s=TIMEOUT_S).ok


def find_version(system: System, name: str) -> Optional[tuple[int, int]]:
    """Major and minor number of a module, if it tells them."""
    result = system.run("modinfo", name, timeout_s=TIMEOUT_S)
    return parse_module_version(result.stdout) if result.ok else None


def is_loaded(system: System, name: str = ALIAS) -> bool:
    """Whether the kernel has it."""
    return system.path(f"/sys/module/{name}").is_dir()


def load(system: System, name: str, *options: str) -> Result:
    """Load it; how modprobe ended."""
    return system.run("modprobe", *options, name, timeout_s=TIMEOUT_S)


def kernel_release(system: System) -> str:
    """As ``uname -r`` has it."""
    return (
        files.read_if_there(system.path("/proc/sys/kernel/osrelease"), limit=4096) or ""
    ).strip()
