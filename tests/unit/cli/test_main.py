"""The command as a process: exit codes, where it says what, and how little the quick ones load."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from waagent.core.version import AGENT_VERSION

PROJECT = Path(__file__).resolve().parents[3]
SHIPPED = PROJECT / "config/waagent.conf"
PACKAGES = ("lxml", "cryptography", "asn1crypto", "psutil", "pyudev")
HEAVY = (*PACKAGES, "ssl", "http", "json", "socket", "subprocess", "tempfile", "ctypes", "difflib")
# With these the version would take five times as long as Python itself, not less than three.
HEAVIER_THAN_THE_ANSWER = (*HEAVY, "dataclasses", "inspect", "ast", "logging", "shutil", "random")
AS_COMMAND = """
import sys
sys.argv = [{program!r}, *{arguments!r}]
from waagent.cli.main import main
code = main()
sys.stderr.write(" ".join(sys.modules))
sys.exit(code)
"""


def run(*arguments: str, program: str = "waagent") -> subprocess.CompletedProcess[str]:
    code = AS_COMMAND.format(program=program, arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["-version"], ["-help"], [], ["-bogus"]])
def test_quick_command_loads_neither_configuration_nor_log_nor_packages(
    arguments: list[str],
) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    loaded = done.stderr.split()
    assert [name for name in HEAVIER_THAN_THE_ANSWER if name in loaded] == []
    own = [name for name in loaded if name.startswith("waagent.core.")]
    assert set(own) <= {f"waagent.core.{name}" for name in ("errors", "files", "rooted", "version")}


def test_version_is_told_on_standard_output_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "waagent", "--version"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"WALinuxAgent-{AGENT_VERSION} running on ")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_usage_names_the_program_as_it_was_called() -> None:
    done = run("-bogus", program="/usr/sbin/waagent")
    assert done.stdout.startswith("\nusage: /usr/sbin/waagent [-verbose]")


@pytest.mark.parametrize("command", ["-daemon", "-version", "-show-configuration", "-bogus"])
@pytest.mark.parametrize("path", ["/nowhere/a.conf", f"/{'long' * 2000}"], ids=["gone", "long"])
def test_configuration_that_does_not_exist_ends_with_one_and_the_usage(
    command: str, path: str
) -> None:
    done = run(f"-configuration-path:{path}", command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Configuration file {path} does not exist\n")
    assert done.stdout.startswith("\nusage: waagent ")


@pytest.mark.parametrize("kind", ["empty", "folder"])
def test_listing_of_an_unusable_configuration_ends_with_one_and_says_why(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "waagent.conf"
    if kind == "folder":
        path.mkdir()
    else:
        path.touch()
    done = run("-show-configuration", f"-configuration-path:{path}")
    assert done.returncode == 1
    assert done.stdout == ""
    first = done.stderr.splitlines()[0]
    assert first.startswith("Failed to run 'show-configuration': cannot ")
    assert str(path) in first


def test_listing_is_on_standard_output_alone_and_loads_what_it_reads_with() -> None:
    done = run("-show-configuration", f"-configuration-path:{SHIPPED}")
    assert done.returncode == 0
    loaded = done.stderr.split()
    assert [name for name in HEAVY if name in loaded] == []
    assert [name for name in ("log", "events", "system") if f"waagent.core.{name}" in loaded] == []
    keys = [line.partition(" = ")[0] for line in done.stdout.splitlines()]
    assert keys == sorted(keys)
    assert "Provisioning.Agent = auto" in done.stdout.splitlines()


@pytest.mark.parametrize("word", ["collect-logs", "setup-firewall=168.63.129.16"])
def test_command_of_a_later_version_ends_with_one_and_says_so(word: str) -> None:
    done = run(f"-{word}", f"-configuration-path:{SHIPPED}")
    assert done.returncode == 1
    name = word.partition("=")[0]
    assert f"Failed to run '{name}': this version cannot do -{name} yet" in done.stdout
    assert "Traceback" not in done.stdout


def test_start_leaves_a_daemon_behind_and_ends_at_once(tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    program = tmp_path / "waagent"
    program.write_text(f"import sys; open({str(told)!r}, 'w').write(repr(sys.argv[1:]))")
    reader = os.open(told, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = run("-start", f"-configuration-path:{SHIPPED}", program=str(program))
        assert done.returncode == 0
        assert done.stdout == ""
        assert select.select([reader], [], [], 20.0)[0], "the daemon was not started"
        said = os.read(reader, 4096).decode()
    finally:
        os.close(reader)
    assert said == repr(["-daemon", f"-configuration-path:{SHIPPED}"])
