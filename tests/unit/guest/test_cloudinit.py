"""Whether cloud-init is enabled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.runner import Answers, Argv, fails, ok, times_out
from waagent.guest import cloudinit

ASK = ("systemctl", "is-enabled", "cloud-init-local.service")
SERVICE = ("service", "cloud-init", "status")


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ({ASK: ok("enabled\n")}, True),
        ({ASK: ok("static\n"), SERVICE: fails(4)}, False),
        ({ASK: ok("enabled-runtime\n"), SERVICE: fails(4)}, False),
        ({ASK: fails(1, stdout="disabled\n"), SERVICE: fails(4)}, False),
        ({ASK: fails(1, stdout="disabled\n"), SERVICE: ok()}, True),
        ({ASK: times_out(), SERVICE: fails(4)}, False),
        ({SERVICE: ok()}, True),
        ({}, False),
    ],
)
def test_cloud_init_is_enabled_when_the_init_system_says_so(
    tmp_path: Path, commands: dict[Argv, Answers], expected: bool
) -> None:
    guest = Machine(commands=commands).boot(tmp_path)
    assert cloudinit.is_enabled(guest.system) is expected
