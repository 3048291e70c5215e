"""The RDMA driver on Ubuntu: a module of the kernel package that fits the host."""

from __future__ import annotations

import logging
import re

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import selinux
from waagent.guest.release import Release
from waagent.rdma import modules
from waagent.rdma.restart import restart
from waagent.rdma.texts import edit_alias

log = logging.getLogger(__name__)

CONF = "/etc/modprobe.d/vmbus-rdma.conf"
KERNEL_PACKAGE = "linux-azure"
INSTALL_WITHIN_S = 900.0
LARGEST = 1024 * 1024
_PACKAGE_VERSION = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)
_FIELDS = re.compile(r"(\d+)\.(\d+)\.(\d+)[.-](\d+)")
_NO_QUESTIONS = ("-o", "Dpkg::Options::=--force-confold")


def install(context: Context, release: Release, version: str) -> None:
    """See ``drivers.Install``."""
    del release
    system = context.system
    module = f"{modules.ALIAS}_{version.replace('.', '_')}"
    if modules.resolve(system) == module:
        log.info("RDMA: %s is in force already", module)
    elif modules.exists(system, module):
        _write_alias(system, module)
        log.info("RDMA: %s stands for %s from now on", modules.ALIAS, module)
    elif context.conf.os.update_rdma_driver:
        _update_kernel(context, version)
    else:
        raise GuestError(
            f"this kernel has no module {module}, and OS.UpdateRdmaDriver=n forbids a newer one"
        )


def _write_alias(system: System, module: str) -> None:
    path = system.path(CONF)
    text = files.read_text(path, limit=LARGEST) if path.is_file() else ""
    edited = edit_alias(text, modules.ALIAS, module)
    if path.is_file():
        selinux.rewrite(path, edited)
    else:
        files.write(path, edited)


def _update_kernel(context: Context, version: str) -> None:
    system = context.system
    kernel = modules.kernel_release(system)
    if not kernel.endswith("-azure"):
        raise GuestError(f"the kernel {kernel} is none for Azure, and is not replaced")
    system.run("apt-get", "update", timeout_s=INSTALL_WITHIN_S)
    shown = system.run(
        "apt-cache", "show", "--no-all-versions", KERNEL_PACKAGE, timeout_s=INSTALL_WITHIN_S
    )
    match = _PACKAGE_VERSION.search(shown.stdout)
    offered = match[1] if match else ""
    if not is_newer(offered, kernel):
        raise GuestError(f"no kernel is newer than {kernel}; the package is {offered or 'unknown'}")
    system.run(
        *("apt-get", "-y", *_NO_QUESTIONS, "install", KERNEL_PACKAGE), timeout_s=INSTALL_WITHIN_S
    ).check()
    restart(context, f"{KERNEL_PACKAGE} {offered} was installed", version)


def is_newer(offered: str, running: str) -> bool:
    """Whether a package's version is of a later kernel; not if one of them cannot be read."""
    fields = [_FIELDS.match(text) for text in (offered, running)]
    numbers = [[int(part) for part in match.groups()] for match in fields if match is not None]
    return len(numbers) == 2 and numbers[0] > numbers[1]
