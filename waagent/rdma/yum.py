"""The RDMA driver on the Red Hat family: files that a package of Microsoft's repository brings."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest.processes import find_processes
from waagent.guest.release import Release
from waagent.rdma import modules
from waagent.rdma.restart import restart

log = logging.getLogger(__name__)

KVP_DAEMONS = ("hypervkvpd", "hv_kvp_daemon")
KVP_PACKAGES = ("hypervkvpd", "microsoft-hyper-v")
DRIVERS = "msft-rdma-drivers"
USER_PACKAGE = "microsoft-hyper-v-rdma"
PACKAGES = (f"kmod-{USER_PACKAGE}", USER_PACKAGE)  # in this order
LOCAL = "/opt/microsoft/rdma"
INSTALL_WITHIN_S = 900.0
QUERY_TIMEOUT_S = 60.0
KVP_WITHIN_S = 10.0
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def install(context: Context, release: Release, version: str) -> None:
    """See ``drivers.Install``. What is to be installed is found before the old one is removed."""
    system = context.system
    if not _ensure_kvp_daemon(context, version):
        return
    firmware = version.partition(".")[0]
    present = system.run("rpm", "-q", USER_PACKAGE, timeout_s=QUERY_TIMEOUT_S)
    if present.ok and has_firmware(present.stdout, firmware):
        log.info("RDMA: the driver for firmware %s is installed already", firmware)
        return
    for words in (("clean", "all"), ("updateinfo",)):
        system.run("yum", *words, timeout_s=INSTALL_WITHIN_S)
    _force(system, DRIVERS, DRIVERS)
    found = _find_packages(system, release, firmware)
    _erase(system, KVP_PACKAGES[0])
    _erase(system, KVP_PACKAGES[1])
    for name, path in zip(PACKAGES, found):
        _force(system, name, str(path))
    modules.load(system, modules.ALIAS)
    if not modules.is_loaded(system):
        restart(context, f"{USER_PACKAGE} was installed and cannot be loaded", version)


def has_firmware(package: str, firmware: str) -> bool:
    """Whether a package's name has that firmware as its fourth number or later."""
    _, _, numbers = package.strip().partition(f"{USER_PACKAGE}-")
    return firmware in re.split(r"[-.]", numbers)[3:]


def _ensure_kvp_daemon(context: Context, version: str) -> bool:
    """Whether the daemon that tells of the host runs; else it is installed for the next start."""
    system, clock = context.system, context.system.clock
    end = clock.monotonic() + KVP_WITHIN_S
    log.info("RDMA: looking for the key-value daemon for up to %g s", KVP_WITHIN_S)
    while not any(find_processes(system, name) for name in KVP_DAEMONS):
        if clock.monotonic() >= end or clock.wait(context.stop, 1.0):
            break
    else:
        return True
    for package in KVP_PACKAGES:
        if system.run("rpm", "-q", package, timeout_s=QUERY_TIMEOUT_S).ok:
            raise GuestError(f"the key-value daemon of the package {package} does not run")
    package = KVP_PACKAGES[0]
    system.run("yum", "install", "-y", "-q", package, timeout_s=INSTALL_WITHIN_S).check()
    restart(context, f"{package} was installed", version)
    return False


def _find_packages(system: System, release: Release, firmware: str) -> list[Path]:
    folder = system.path(f"{LOCAL}/rhel{_major_minor(system, release)}")
    found = []
    for name in PACKAGES:
        paths = sorted(folder.glob(f"{name}-*x86_64.rpm")) if folder.is_dir() else []
        fitting = [path for path in paths if has_firmware(path.name, firmware)]
        if not fitting:
            raise GuestError(f"cannot find {name} for firmware {firmware} in {folder}")
        found.append(fitting[-1])
    return found


def _major_minor(system: System, release: Release) -> str:
    """``74`` for 7.4.1708; os-release has the major number alone on CentOS."""
    texts = (release.version, files.read_if_there(system.path("/etc/redhat-release")) or "")
    for text in texts:
        match = _NUMBERS.search(text)
        if match is not None:
            return match[1] + match[2]
    raise GuestError(f"Unexpected centos version: {release.version}")


def _force(system: System, name: str, target: str) -> None:
    _erase(system, name)
    system.run("yum", "install", "-y", "-q", target, timeout_s=INSTALL_WITHIN_S).check()


def _erase(system: System, name: str) -> None:
    """A package that is not there need not be."""
    system.run("yum", "erase", "-y", "-q", name, timeout_s=INSTALL_WITHIN_S)
