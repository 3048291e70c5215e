"""Give the RDMA device its address (spec DAEMON 9.2).

Interfaces are found in /sys and configured by ``ip``: many images have no ``ifconfig`` any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Callable, Optional, TypeVar

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError, describe
from waagent.core.system import System
from waagent.guest import selinux
from waagent.rdma import modules, texts
from waagent.rdma.texts import DeviceAddress

log = logging.getLogger(__name__)

NETWORK = "/sys/class/net"
INFINIBAND = "/sys/class/infiniband"
DEVICE = "/dev/hvnd_rdma"
DAT_CONFS = ("/etc/dat.conf", "/etc/rdma/dat.conf", "/usr/local/etc/dat.conf")
WITHOUT_DEVICE_FILE = (4, 0)  # later drivers than that configure themselves
DEVICE_WITHIN_S = 120.0
INTERFACE_WITHIN_S = 60.0
EVERY_S = 1.0
TIMEOUT_S = 30.0
ALREADY_SET = 2  # exit code of ip(8) for an address that is there
LARGEST = 1024 * 1024
T = TypeVar("T")


def set_up_by_pairs(context: Context, pairs: Iterable[DeviceAddress]) -> None:
    """SR-IOV with what the host says of each device: wait for them, configure those that come."""
    missing = {pair.mac: pair.ipv4 for pair in pairs}
    problems = []
    log.info("RDMA: waiting for %d SR-IOV devices", len(missing))

    def configure_those_that_came() -> Optional[bool]:
        for name, mac in _read_macs(context.system):
            if mac in missing:
                try:
                    _configure(context.system, name, missing.pop(mac))
                except AgentError as error:  # the others are configured nonetheless
                    problems.append(describe(error))
        return not missing or None

    if _wait_for(context, configure_those_that_came, INTERFACE_WITHIN_S) is None:
        problems.append(f"no device came with the MAC {', '.join(sorted(missing))}")
    if problems:
        raise GuestError(f"cannot configure every SR-IOV device: {'; '.join(problems)}")


def set_up_sriov(context: Context, ipv4: str) -> None:
    """SR-IOV without such word: the one InfiniBand device gets the fabric's address."""
    system = context.system
    log.info("RDMA: waiting for an InfiniBand device")
    if _wait_for(context, lambda: _names(system, INFINIBAND) or None, DEVICE_WITHIN_S) is None:
        raise GuestError(f"cannot find an InfiniBand device within {DEVICE_WITHIN_S:g} s")
    log.info("RDMA: waiting for the interface of the InfiniBand device")
    name = _wait_for(context, lambda: _find_infiniband_interface(system), INTERFACE_WITHIN_S)
    if name is None:
        raise GuestError(f"cannot find an interface ib... within {INTERFACE_WITHIN_S:g} s")
    _configure(system, name, ipv4)


def set_up_network_direct(context: Context, ipv4: str, mac: str) -> None:
    """The device of the Network Direct driver, and the interface that belongs to it."""
    system = context.system
    _write_dat_conf(system, ipv4)
    if context.conf.os.may_check_rdma_driver:
        _tell_driver(context, ipv4, mac)
    wanted = mac.replace(":", "").lower()
    name = next((n for n, m in _read_macs(system) if m == wanted and n.startswith("eth")), None)
    if name is None:
        raise GuestError(f"cannot find the interface with the MAC {mac}")
    _configure(system, name, ipv4)


def _tell_driver(context: Context, ipv4: str, mac: str) -> None:
    system = context.system
    module = modules.resolve(system) or modules.ALIAS
    loaded = modules.load(system, module)
    if not loaded.ok:
        said = " ".join(loaded.output.split())
        raise GuestError(f"failed to load module {module}: {said}")
    version = modules.find_version(system, module)
    if version is not None and version > WITHOUT_DEVICE_FILE:
        log.info("RDMA: driver %s %d.%d needs no device file", module, *version)
        return
    log.info("RDMA: waiting for %s", DEVICE)
    device = system.path(DEVICE)
    if _wait_for(context, lambda: device.exists() or None, DEVICE_WITHIN_S) is None:
        raise GuestError(f"cannot find {DEVICE} within {DEVICE_WITHIN_S:g} s")
    _tell_device(device, texts.render_device_command(mac, ipv4))


def _tell_device(device: Path, command: str) -> None:
    descriptor = os.open(device, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(descriptor, command.encode("ascii"))
    finally:
        os.close(descriptor)


def _write_dat_conf(system: System, ipv4: str) -> None:
    path = next((system.path(name) for name in DAT_CONFS if system.path(name).is_file()), None)
    if path is None:
        raise GuestError(f"cannot find any of {', '.join(DAT_CONFS)}")
    text = files.read_text(path, limit=LARGEST)
    edited = texts.edit_dat_conf(text, ipv4)
    if edited != text:
        selinux.rewrite(path, edited)
    elif f'"{ipv4} 0"' not in text:
        log.warning("RDMA: %s has no provider for ib0 and stays as it is", system.within(path))


def _configure(system: System, name: str, ipv4: str) -> None:
    """Bring the interface up with the address; one that has it already is as it should be."""
    system.run("ip", "link", "set", name, "up", timeout_s=TIMEOUT_S).check()
    added = system.run("ip", "addr", "add", f"{ipv4}/16", "dev", name, timeout_s=TIMEOUT_S)
    if added.code != ALREADY_SET:
        added.check()
    log.info("RDMA: %s has the address %s", name, ipv4)


def _read_macs(system: System) -> list[tuple[str, str]]:
    """Each interface with the digits of its MAC."""
    found = []
    for name in _names(system, NETWORK):
        address = files.read_if_there(system.path(f"{NETWORK}/{name}/address"), limit=4096) or ""
        found.append((name, texts.mac_of_hardware(address, is_infiniband=name.startswith("ib"))))
    return found


def _find_infiniband_interface(system: System) -> Optional[str]:
    return next((name for name in _names(system, NETWORK) if name.startswith("ib")), None)


def _names(system: System, folder: str) -> list[str]:
    path = system.path(folder)
    return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


def _wait_for(context: Context, look: Callable[[], Optional[T]], within_s: float) -> Optional[T]:
    """What a look finds within that time; ``None`` if nothing, or if we are told to stop."""
    clock = context.system.clock
    end = clock.monotonic() + within_s
    while True:
        found = look()
        if found is not None:
            return found
        if clock.monotonic() >= end or clock.wait(context.stop, EVERY_S):
            return None
