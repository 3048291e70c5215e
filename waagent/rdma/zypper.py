"""The RDMA driver on SUSE Linux Enterprise 12: a package for the kernel that runs."""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.context import Context
from waagent.core.errors import GuestError
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest.release import Release
from waagent.rdma import modules
from waagent.rdma.restart import restart

log = logging.getLogger(__name__)

FLAVOURS = ("azure", "default")
LOCAL = "/opt/microsoft/rdma"
SCRIPTS_FAILED_SOFTLY = 106  # a repository could not be refreshed; the package is installed
INSTALL_WITHIN_S = 900.0


@dataclass(frozen=True)
class Offered:
    """A row of ``zypper search -s``."""

    name: str
    version: str
    is_installed: bool


def install(context: Context, release: Release, version: str) -> None:
    """See ``drivers.Install``. What is to be installed is found before the old one is removed."""
    if release.is_at_least(15):
        log.info("RDMA: the kernel of this distribution has its driver")
        return
    system = context.system
    package = _package_for(modules.kernel_release(system))
    listed = system.run("zypper", "-n", "se", "-s", package, timeout_s=INSTALL_WITHIN_S)
    offers = [each for each in parse_search(listed.stdout) if each.name == package]
    installed = [each for each in offers if each.is_installed]
    if any(version in each.version for each in installed):
        log.info("RDMA: %s for version %s is installed already", package, version)
        return
    target = _find_target(system, offers, package, version)
    if target is None:
        raise GuestError(f"cannot find the package {package} for version {version}")
    was_loaded = modules.is_loaded(system)
    _replace(system, package, target, is_installed=bool(installed))
    if was_loaded or not modules.load(system, modules.ALIAS, "--first-time").ok:
        restart(context, f"{target} was installed, and cannot be loaded beside the old", version)


def parse_search(text: str) -> tuple[Offered, ...]:
    """The packages in the table that zypper prints; anything else in it is left out."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and cells[2] == "package":
            found.append(Offered(cells[1], cells[3], cells[0].startswith("i")))
    return tuple(found)


def _package_for(kernel: str) -> str:
    for flavour in FLAVOURS:
        if kernel.endswith(f"-{flavour}"):
            return f"msft-rdma-kmp-{flavour}"
    raise GuestError(f"cannot tell which RDMA package fits the kernel {kernel}")


def _find_target(
    system: System, offers: list[Offered], package: str, version: str
) -> Optional[str]:
    """The package of a repository, else the file that the image has brought along."""
    for each in offers:
        if version in each.version:
            return f"{package}-{each.version}"
    folder = system.path(LOCAL)
    for path in sorted(folder.glob("*.rpm")) if folder.is_dir() else ():
        if path.name.startswith(package) and version in path.name:
            return str(path)
    return None


def _replace(system: System, package: str, target: str, *, is_installed: bool) -> None:
    """Packages are locked, so that an update of the system keeps the one that fits the host."""

    def zypper(*words: str) -> int:
        return system.run("zypper", *words, timeout_s=INSTALL_WITHIN_S).code

    zypper("removelock", package)
    if is_installed and zypper("-n", "rm", package) != 0:
        raise GuestError(f"cannot remove the package {package}")
    is_local = target.startswith("/")
    options = ("-n", "--no-refresh") if is_local else ("-n",)
    code = zypper(*options, "in", target)
    if code not in ((0, SCRIPTS_FAILED_SOFTLY) if is_local else (0,)):
        raise GuestError(f"cannot install {target}: zypper ended with {code}")
    if zypper("addlock", package) != 0:
        log.warning("RDMA: cannot lock the package %s", package)
