"""FIPS mode: asked for in our configuration, or the kernel's; our children are told.

Nothing of ours is refused in it: hashes are SHA-1 and SHA-2, passwords SHA-crypt, the transport key
RSA with 2048 bits. What is not allowed there (ssh-keygen's ed25519) fails with its own words.
Source: spec DAEMON 1.3, step 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from waagent.core import files
from waagent.core.conf import Conf
from waagent.core.system import System

VARIABLE = "OPENSSL_FIPS"
KERNEL = "/proc/sys/crypto/fips_enabled"


def find_source(system: System, conf: Conf) -> Optional[str]:
    """Who has put this machine into FIPS mode, or ``None``."""
    if conf.os.enable_fips:
        return "OS.EnableFIPS"
    is_on = (files.read_if_there(system.path(KERNEL), limit=64) or "").strip() == "1"
    return "the kernel" if is_on else None


def environment_of(system: System, conf: Conf) -> Mapping[str, str]:
    """What is added to the environment of everything that we start."""
    return {VARIABLE: "1"} if find_source(system, conf) else {}
