"""What FIPS mode changes: a variable that our children inherit (spec DAEMON 1.3, step 7)."""

from __future__ import annotations

from collections.abc import Mapping

from waagent.core.conf import Conf

VARIABLE = "OPENSSL_FIPS"


def environment_of(conf: Conf) -> Mapping[str, str]:
    """What is added to the environment of everything that we start."""
    return {VARIABLE: "1"} if conf.os.enable_fips else {}
