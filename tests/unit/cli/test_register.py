"""``-register-service``: what it says, what it runs, and when it has failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.runner import Answers, Argv, fails, ok
from waagent.cli import register
from waagent.core.errors import AgentError

SAID = "Register WALinuxAgent service\nStop WALinuxAgent service\nStart WALinuxAgent service\n"


def run(folder: Path, commands: Mapping[Argv, Answers], *, init: bool = True) -> list[Argv]:
    folders = ("/run/systemd/system",) if init else ()
    guest = Machine(commands=commands, folders=folders).boot(folder)
    assert register.run(guest.system, "waagent") == 0
    return guest.ran


def test_service_is_enabled_stopped_and_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(tmp_path, {("systemctl",): ok()})
    verbs = [argv[1] for argv in ran if argv[1] != "unmask"]
    assert verbs[0] == "enable"
    assert verbs.index("stop") < verbs.index("start")
    assert capsys.readouterr().out == SAID


def test_image_that_is_being_built_has_nothing_to_start(tmp_path: Path) -> None:
    ran = run(tmp_path, {("systemctl", "enable"): ok()}, init=False)
    assert [argv[1] for argv in ran] == ["enable"]


@pytest.mark.parametrize(
    ("verb", "words"), [("enable", "cannot register"), ("start", "cannot start")]
)
def test_what_the_service_manager_refuses_is_an_error(
    tmp_path: Path, verb: str, words: str
) -> None:
    with pytest.raises(AgentError, match=words):
        run(tmp_path, {("systemctl",): ok(), ("systemctl", verb): fails(1)})
