"""Whether cloud-init is enabled."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

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


DISABLED = "/etc/cloud/cloud-init.disabled"
VERDICT = "/run/cloud-init/disabled"


@pytest.mark.parametrize(
    ("files", "switch"),
    [
        ({}, None),
        ({DISABLED: ""}, DISABLED),
        ({VERDICT: ""}, VERDICT),
        ({"/run/cloud-init/enabled": "", DISABLED: ""}, None),
        ({"/etc/cloud/cloud-init.enabled": "", DISABLED: ""}, None),
        ({"/proc/cmdline": "ro cloud-init=disabled quiet\n"}, "cloud-init=disabled"),
        ({"/proc/cmdline": "ro xcloud-init=disabled\n"}, None),
        ({"/proc/cmdline": "cloud-init=enabled\n", DISABLED: ""}, None),
        ({"/proc/cmdline": "cloud-init=maybe\n", DISABLED: ""}, DISABLED),
        ({"/proc/cmdline": "cloud-init=enabled\n", VERDICT: ""}, VERDICT),
    ],
)
def test_switch_of_cloud_init_is_looked_at_as_its_own_generator_does(
    tmp_path: Path, files: dict[str, str], switch: Optional[str]
) -> None:
    guest = Machine(files=files, commands={ASK: ok("enabled\n")}).boot(tmp_path)
    assert cloudinit.find_switch_that_is_off(guest.system) == switch
    assert cloudinit.is_enabled(guest.system) is (switch is None)


FAILED = ("systemctl", "is-failed", "--quiet", "cloud-final.service")


@pytest.mark.parametrize(
    ("answer", "expected"), [(ok(), True), (fails(1), False), (times_out(), False)]
)
def test_cloud_init_has_failed_when_its_last_service_has(
    tmp_path: Path, answer: Answers, expected: bool
) -> None:
    machine = Machine(folders=["/run/systemd/system"], commands={FAILED: answer})
    assert cloudinit.has_failed(machine.boot(tmp_path).system) is expected


def test_cloud_init_has_not_failed_where_no_systemd_runs(tmp_path: Path) -> None:
    assert not cloudinit.has_failed(Machine().boot(tmp_path).system)


@pytest.mark.parametrize(
    ("link", "folders", "expected"),
    [
        ("/etc/rcS.d/S12cloud-init-local", [], True),
        ("/etc/rc3.d/S01cloud-init-local", [], True),
        ("/etc/rcS.d/K12cloud-init-local", [], False),
        ("/etc/rcS.d/S12cloud-init-local", ["/run/systemd/system"], False),
    ],
)
def test_cloud_init_is_enabled_where_a_runlevel_starts_it(
    tmp_path: Path, link: str, folders: list[str], expected: bool
) -> None:
    """Debian's script of it answers every word but "start" with its usage and code 3."""
    usage = fails(3, "Usage: /etc/init.d/cloud-init {start}")
    machine = Machine(files={link: ""}, folders=folders, commands={SERVICE: usage})
    assert cloudinit.is_enabled(machine.boot(tmp_path).system) is expected
