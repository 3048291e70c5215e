"""The version, as scripts read it, and the usage (spec CLI 1.5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from waagent.cli.show import find_running_version, render_usage, render_version
from waagent.core.version import AGENT_VERSION

HANDLER = (
    b"/usr/bin/python3\0-u\0/var/lib/waagent/WALinuxAgent-9.8.7.6/bin/a.egg\0-run-exthandlers\0"
)


def test_version_is_three_lines(tmp_path: Path) -> None:
    system = Machine("ubuntu-22.04").boot(tmp_path).system
    first, second, third = render_version(system).splitlines()
    assert first == f"WALinuxAgent-{AGENT_VERSION} running on ubuntu 22.04"
    assert second.startswith("Python: 3.")
    assert third == f"Goal state agent: {AGENT_VERSION}"


def test_version_names_the_updated_agent_that_runs(tmp_path: Path) -> None:
    system = Machine(files={"/proc/77/cmdline": HANDLER}).boot(tmp_path).system
    assert render_version(system).splitlines()[2] == "Goal state agent: 9.8.7.6"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (HANDLER, "9.8.7.6"),
        (HANDLER + b"-configuration-path:/etc/waagent.conf\0", "9.8.7.6"),
        (b"python3\0-u\0bin/WALinuxAgent-2.2.25-py2.7.egg\0-run-exthandlers\0", "2.2.25"),
        (b"/usr/bin/python3\0-u\0/usr/sbin/waagent\0-run-exthandlers\0", None),
        (b"/usr/bin/python3\0-u\0/var/lib/waagent/WALinuxAgent-9.8.7.6/x\0-daemon\0", None),
        (b"vi\0/var/lib/waagent/WALinuxAgent-9.8.7.6/notes\0", None),
        (b"WALinuxAgent-1.2.3\0-run-exthandlers\0", None),
        (b"\xff\xfe\0", None),
        (b"", None),
    ],
)
def test_running_agent_is_known_by_its_command_line(
    tmp_path: Path, command: bytes, expected: str
) -> None:
    system = Machine(files={"/proc/12/cmdline": command}).boot(tmp_path).system
    assert find_running_version(system) == expected


def test_process_that_ended_meanwhile_is_passed_over(tmp_path: Path) -> None:
    machine = Machine(
        files={"/proc/99/cmdline": HANDLER, "/proc/self/cmdline": HANDLER}, folders=["/proc/1"]
    )
    assert find_running_version(machine.boot(tmp_path).system) == "9.8.7.6"


def test_only_numbers_are_processes(tmp_path: Path) -> None:
    system = Machine(files={"/proc/self/cmdline": HANDLER}).boot(tmp_path).system
    assert find_running_version(system) is None


def test_usage_is_one_line_between_two_blank_ones() -> None:
    text = render_usage("waagent")
    assert text.startswith(
        "\nusage: waagent [-verbose] [-force] [-dry-run] [-help] -configuration-path:<"
    )
    assert text.endswith("|-collect-logs [-full]|-setup-firewall=<IP>]\n\n")
    assert len(text.splitlines()) == 3
