"""What is around the code agrees with it: pins, units, the command, the documents."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from configparser import RawConfigParser

import pytest

from tests.architecture.source import ROOT, documents
from tools.packaging.families import FAMILIES, Family
from tools.packaging.staging import render_template
from waagent.cli.arguments import Command, parse
from waagent.core.version import AGENT_VERSION

REQUIRED_DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/parity.md",
    "docs/limits.md",
    "docs/debugging.md",
)
PIN = re.compile(r"^([a-z0-9]+)(?:>=|==)([0-9.]+)$")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
ON_SYSTEMD = [family for family in FAMILIES if family.unit_dir]
MAKE = re.compile(r"`make ([a-z]+)[^`]*`")


def read_setup(*words: str) -> str:
    """What setup.py answers."""
    argv = (sys.executable, "-W", "ignore", "setup.py", *words)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def read_unit(family: Family) -> RawConfigParser:
    """The systemd unit of a family."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    template = (ROOT / "init/waagent.service.in").read_text(encoding="utf-8")
    parser.read_string(render_template(template, family))
    return parser


def test_floors_of_setup_are_those_that_are_tested() -> None:
    """One list says it, the other is what `make check` installs."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    promised = dict(re.findall(r'"([a-z0-9]+)>=([0-9.]+)"', setup))
    lines = (ROOT / "tests/requirements/oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = {m[1]: m[2] for m in map(PIN.match, lines) if m}
    assert promised == tested


def test_setup_takes_the_version_from_the_agent() -> None:
    """It is written once."""
    assert read_setup("--version").splitlines()[-1] == AGENT_VERSION


def test_command_is_a_short_program_that_calls_main() -> None:
    """Everything it does can be tested without it."""
    command = ROOT / "bin/waagent"
    text = command.read_text(encoding="utf-8")
    assert os.access(command, os.X_OK)
    assert "from waagent.cli.main import main" in text
    assert len([line for line in text.splitlines() if line.strip()]) <= 6


@pytest.mark.parametrize("family", ON_SYSTEMD, ids=lambda f: f.name)
def test_systemd_unit_runs_the_installed_daemon(family: Family) -> None:
    """Ready is said by the daemon, and what extensions left running is not killed."""
    unit = read_unit(family)
    service = dict(unit["Service"])
    python, program = family.python, family.program
    assert service["ExecStart"].split() == [python, "-u", program, "-daemon"]
    assert (service["Type"], service["KillMode"]) == ("notify", "process")
    assert int(service["WatchdogSec"]) > 0
    assert unit["Unit"]["ConditionPathExists"] == family.conf_path
    alias = {"Alias": f"{family.alias}.service"} if family.alias else {}
    assert dict(unit["Install"]) == {"WantedBy": "multi-user.target", **alias}


def test_init_scripts_and_units_name_commands_that_the_agent_knows() -> None:
    """Whatever is in init/ and starts the agent."""
    started = {}
    for path in sorted((ROOT / "init").rglob("*.in")):
        words = re.findall(r"(?:PROGRAM@?\"?) (-[a-z+-]+)", path.read_text(encoding="utf-8"))
        started[path.name, path.parent.name] = {parse([word]).command for word in words}
    assert len(started) == 3
    assert all(started.values())
    # what parse makes of a word that it does not know
    assert not [name for name, commands in started.items() if Command.HELP in commands]


def test_documents_that_are_promised_exist() -> None:
    """And say something."""
    missing = [name for name in REQUIRED_DOCUMENTS if not (ROOT / name).is_file()]
    assert not missing


def test_documents_link_only_to_what_is_there() -> None:
    """Links within the project; those to elsewhere are not followed."""
    broken = []
    for document in documents():
        for target in LINK.findall(document.read_text(encoding="utf-8")):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert not broken


def test_documents_name_only_make_targets_that_are_there() -> None:
    """A command that a reader is told to run must run."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = re.findall(r"^STEPS = (.*)$", makefile, re.MULTILINE)[0].split()
    known = {*re.findall(r"^([a-z]+):", makefile, re.MULTILINE), *steps}
    named = {name for d in documents() for name in MAKE.findall(d.read_text(encoding="utf-8"))}
    assert named <= known, named - known


def test_licence_is_apache_2() -> None:
    """As setup.py says."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
