"""docs/waagent.1 has the commands, options and files that the agent has, and no others."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT
from waagent.cli import configured
from waagent.cli.arguments import USAGE, Command, Options, parse
from waagent.core.conf import Conf
from waagent.core.paths import BELIEF, LOG_FILE

PAGE = (ROOT / "docs/waagent.1").read_text(encoding="utf-8")
SHOW = {Command.SHOW_CONFIGURATION, Command.SHOW_GOAL_STATE}
ELSEWHERE = {Command.HELP, Command.VERSION, Command.START, *SHOW}
# Those that the usage lists; what processes of the agent say to each other is not for a manual.
SHOWN = USAGE.replace("deprovision[+user]", "deprovision|-deprovision+user")
FOR_PEOPLE = [command for command in Command if f"-{command.value}" in SHOWN]
MODIFIERS = ("verbose", "debug", "force", "dry-run", "full", "json")
WORD = re.compile(r"(?ms)^\.TP\n\.BI? (\\-\S+)(?: \S+)?\n(.*?)(?=^\.TP|^\.SH)")


def section(name: str) -> str:
    """What stands under a heading."""
    return PAGE.partition(f".SH {name}\n")[2].partition("\n.SH ")[0] + "\n.SH "


def entries(name: str) -> dict[str, str]:
    """Each word of a section, as it is typed, with what is said of it."""
    return {m[1].replace("\\-", "-"): m[2] for m in WORD.finditer(section(name))}


COMMANDS = entries("COMMANDS")


def test_page_has_every_command_and_no_other() -> None:
    typed = {command: f"-{command.value}" for command in FOR_PEOPLE}
    typed[Command.SETUP_FIREWALL] += "="
    assert set(COMMANDS) == set(typed.values())
    assert len(FOR_PEOPLE) >= 11


@pytest.mark.parametrize("command", FOR_PEOPLE, ids=lambda command: str(command.value))
def test_page_says_which_commands_this_version_cannot_do(command: Command) -> None:
    text = next(text for word, text in COMMANDS.items() if word.strip("-=") == command.value)
    is_built = command in configured.RUNNERS or command in ELSEWHERE
    assert ("Not in this version." in text) is not is_built


def test_page_has_every_option_and_no_other() -> None:
    assert set(entries("OPTIONS")) == {"-configuration-path:", *(f"-{each}" for each in MODIFIERS)}
    assert set(MODIFIERS) == {
        name.replace("_", "-")
        for name, value in Options()._asdict().items()
        if isinstance(value, bool)
    }
    for each in MODIFIERS:
        assert getattr(parse([f"-{each}"]), each.replace("-", "_")) is True
    assert parse(["-configuration-path:/x"]).conf_path == "/x"


def test_page_names_the_files_of_the_agent() -> None:
    paths = Conf().paths
    named = re.findall(r"^\.TP\n\.I (\S+)$", section("FILES"), re.MULTILINE)
    assert [each.replace("\\-", "-") for each in named] == [
        "/etc/waagent.conf",
        paths.lib_dir,
        f"{paths.lib_dir}/disable_agent",
        LOG_FILE,
        "/var/log/azure",
        paths.pid_file,
        BELIEF,
    ]


def test_page_has_no_option_of_the_configuration_that_does_not_exist() -> None:
    """The configuration has a manual of its own, which cannot drift."""
    manual = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b[A-Z]\w+\.[A-Z]\w+\b", PAGE))
    assert not {name for name in named if f"`{name}`" not in manual}
