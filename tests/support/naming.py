"""A kernel that does not take a host name, as that of a container."""

from __future__ import annotations

import errno
import os

from tests.support.machine import Guest
from waagent.core.system import System


class StubbornSystem(System):
    """Whoever names its kernel is refused, as sethostname(2) does without CAP_SYS_ADMIN."""

    def set_kernel_hostname(self, name: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def with_stubborn_kernel(guest: Guest) -> Guest:
    """The same machine under such a kernel."""
    system = guest.system
    stubborn = StubbornSystem(system.root, system.runner, system.clock, system.environment)
    return Guest(stubborn, guest.clock, guest.runner)
