"""The current goal state's documents as files in the lib dir, as people's notes expect them.

ARCHITECTURE.md, decision 14: whole, 0600, the newest fifty of a kind.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from lxml import etree

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.support.agent import RootedAgent

DOCUMENTS = {
    "GoalState.{}.xml": "wire.goalstate",
    "ExtensionsConfig.{}.xml": "wire.extensionsconfig",
    "HostingEnvironmentConfig.xml": "wire.hostingenvironmentconfig",
    "SharedConfig.xml": "wire.sharedconfig",
    f"{ECHO}.{{}}.manifest.xml": "storage.manifests",
}


def newest(fabric: Fabric, endpoint: str) -> bytes:
    """The last answer of an endpoint."""
    return fabric.journal.entries(endpoint)[-1].answer_body


@pytest.fixture
def booted(plain_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """The agent of a machine with an extension without secrets, after its first turn."""
    plain_fabric.platform.change(new_incarnation=False, has_certificates=True)
    plain_fabric.portal.put_extension(echo_extension())
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    return agent


def test_documents_of_the_goal_state_lie_whole_and_closed_in_the_lib_dir(
    booted: RootedAgent,
) -> None:
    number = booted.fabric.vm.incarnation
    assert booted.lib("Incarnation").read_text() == str(number)
    for name, endpoint in DOCUMENTS.items():
        path = booted.lib(name.format(number))
        assert path.read_bytes() == newest(booted.fabric, endpoint), name
        assert path.stat().st_mode & 0o777 == 0o600, name
    assert booted.lib("GoalState.1.xml").read_text() == "<xml>empty placeholder file</xml>"
    assert "sig=" in booted.lib(f"ExtensionsConfig.{number}.xml").read_text()


def test_users_line_of_xmllint_prints_the_url_of_the_status_blob(agent: RootedAgent) -> None:
    url = agent.fabric.world.addresses.status_blob(agent.fabric.vm)
    path = agent.lib("ExtensionsConfig.1.xml")
    assert etree.parse(str(path)).findtext(".//StatusUploadBlob") == url
    if shutil.which("xmllint"):  # of libxml2-utils; the same library as above
        line = 'echo "cat //StatusUploadBlob/text()"|xmllint --shell ExtensionsConfig.1.xml'
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=agent.paths.lib, capture_output=True, text=True, check=True
        )
        assert url in done.stdout.replace("&amp;", "&")


def test_first_goal_state_is_the_one_in_the_file_that_others_look_for(agent: RootedAgent) -> None:
    whole = newest(agent.fabric, "wire.goalstate")
    assert agent.lib("GoalState.1.xml").read_bytes() == whole
    agent.fabric.portal.update_settings(ECHO, {"echo": "two"})
    agent.turn()
    assert agent.lib("GoalState.1.xml").read_bytes() == whole
    assert agent.lib("GoalState.2.xml").read_bytes() == newest(agent.fabric, "wire.goalstate")
    assert agent.lib("Incarnation").read_text() == "2"


def test_newest_fifty_of_a_kind_are_kept_and_other_files_left_alone(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        agent = RootedAgent(tmp_path, fabric)
        for number in range(1, 70):
            agent.lib(f"ExtensionsConfig.{number}.xml").write_text("old")
        mine = agent.lib("ExtensionsConfig.mine.xml")
        mine.write_text("a user's own")
        for _ in range(69):
            fabric.world.next_revision()
        fabric.platform.change()
        agent.start().turn()
        left = {path.name for path in agent.paths.lib.glob("ExtensionsConfig.*.xml")}
        assert len(left) == 50 + 1
        assert {mine.name, f"ExtensionsConfig.{fabric.vm.incarnation}.xml"} <= left
        assert "ExtensionsConfig.19.xml" not in left
        assert "ExtensionsConfig.21.xml" in left


def test_documents_that_cannot_be_written_stop_nothing(plain: RootedAgent) -> None:
    number = plain.fabric.vm.incarnation + 1
    plain.lib(f"ExtensionsConfig.{number}.xml").mkdir()
    plain.lib(f"{ECHO}.{number}.manifest.xml").mkdir()
    shutil.rmtree(plain.paths.history)
    plain.paths.history.write_text("a file in the folder's place")
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.new_status()
    assert plain.extension(ECHO)[0] == "success"
    assert plain.lib("Incarnation").read_text() == str(number)
