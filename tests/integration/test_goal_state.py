"""Goal states of the wire server: what is asked for when, and what a failure leaves in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric, Settings, Vm, echo_extension
from tests.fabric.faults import SPOIL, Fault
from tests.support.agent import RootedAgent
from waagent.core.events import Op

DOCUMENTS = (
    "wire.extensionsconfig",
    "storage.system",
    "wire.hostingenvironmentconfig",
    "wire.sharedconfig",
    "wire.certificates",
)


def test_first_goal_state_is_fetched_in_the_order_of_the_recordings(
    bare_fabric: Fabric, tmp_path: Path
) -> None:
    RootedAgent(tmp_path, bare_fabric).session.store.refresh()
    asked = [entry.endpoint for entry in bare_fabric.journal.entries()]
    assert asked == ["wire.goalstate", "hgap.vmsettings", *DOCUMENTS]


def test_documents_are_not_asked_for_again_while_the_incarnation_stays(bare: RootedAgent) -> None:
    since = bare.now
    bare.turn(3)
    assert bare.requests("wire.goalstate", since) == 3
    assert [bare.requests(each, since) for each in DOCUMENTS] == [0] * len(DOCUMENTS)


def test_new_incarnation_brings_new_settings_to_the_extension(agent: RootedAgent) -> None:
    since = agent.now
    agent.fabric.portal.update_settings(ECHO, {"echo": "second"}, {"secret": "x"})
    agent.turn()
    assert agent.item(ECHO)["runtimeSettingsStatus"]["sequenceNumber"] == 1
    assert "echo=second" in agent.extension(ECHO)[2]
    assert [agent.requests(each, since) for each in DOCUMENTS] == [1] * len(DOCUMENTS)
    goal = agent.status["aggregateStatus"]["vmArtifactsAggregateStatus"]["goalStateAggregateStatus"]
    assert goal["inSvdSeqNo"] == str(agent.fabric.vm.incarnation)


def test_status_is_dropped_once_when_the_container_moved_and_the_next_is_good(
    bare: RootedAgent,
) -> None:
    since, before = bare.now, len(bare.statuses)
    bare.fabric.platform.move_to_new_container(new_incarnation=False)
    # The goal state is asked for first in a turn, so the move has to come after that.
    bare.process.loop.turn()
    assert len(bare.statuses) == before + 1, "the goal state told of the new container"
    bare.fabric.fault("hgap.status", "GONE", 1)
    asked = bare.requests("wire.goalstate", since)
    bare.turn()
    assert len(bare.statuses) == before + 1
    assert bare.requests("wire.goalstate", since) == asked + 2, "one of them only to learn"
    assert bare.requests("storage.system") == 1, "a moved container is no reason to go direct"
    bare.turn()
    assert len(bare.statuses) == before + 2


def test_events_name_the_new_container_without_a_new_incarnation(bare: RootedAgent) -> None:
    bare.fabric.platform.move_to_new_container(new_incarnation=False)
    bare.turn()
    bare.context.events.add(Op.HEARTBEAT, "now")
    assert bare.events(Op.HEARTBEAT)[-1]["ContainerId"] == bare.fabric.vm.container_id


def test_goal_state_without_a_role_instance_is_asked_for_again(bare: RootedAgent) -> None:
    half = (
        b"<GoalState><Incarnation>2</Incarnation><Container><ContainerId>c</ContainerId>"
        b"</Container></GoalState>"
    )
    since = bare.now
    bare.fabric.fault("wire.goalstate", Fault("HALF", SPOIL, body=half), 2)
    bare.turn()
    assert bare.requests("wire.goalstate", since) == 3
    assert bare.process.loop.failures_since_heartbeat == 0
    bare.fabric.fault("wire.goalstate", Fault("HALF", SPOIL, body=half), 6)
    bare.turn()
    assert bare.process.loop.failures_since_heartbeat == 1, "six in a row fail the update"


@pytest.mark.parametrize(
    "endpoint", ["wire.extensionsconfig", "wire.hostingenvironmentconfig", "wire.sharedconfig"]
)
def test_missing_document_leaves_the_old_goal_state_in_force_until_it_comes(
    bare: RootedAgent, endpoint: str
) -> None:
    bare.fabric.fault(endpoint, "NOT_FOUND", 1)
    bare.fabric.portal.put_extension(echo_extension())
    status = bare.new_status()
    assert status["aggregateStatus"]["handlerAggregateStatus"] == []
    assert bare.session.store.current().goal_state.incarnation == "1"
    bare.turn()
    assert bare.extension(ECHO)[0] == "success"


def test_machine_without_certificates_and_without_extensions_config_is_served(
    tmp_path: Path,
) -> None:
    vm = Vm(has_certificates=False, has_extensions_config=False)
    with Fabric(vm) as fabric:
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn(2)
        assert agent.requests("wire.certificates") == 0
        assert agent.statuses == [], "there is no blob to put it to"
        # Each report looks once more whether there is a blob by now.
        assert agent.requests("wire.sharedconfig") == 3
        fabric.platform.change(has_extensions_config=True)
        agent.turn()
        assert len(agent.statuses) == 1


def test_machine_without_a_blob_does_not_flush_its_history(tmp_path: Path) -> None:
    with Fabric(Vm(has_extensions_config=False)) as fabric:
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn(3)
        assert agent.requests("wire.sharedconfig") == 4
        assert len(list(agent.paths.history.iterdir())) == 1


def test_reporting_failure_is_told_after_a_quarter_of_an_hour(bare: RootedAgent) -> None:
    bare.fabric.fault("hgap.status", "NOT_FOUND")
    bare.fabric.fault("storage.system", "NOT_FOUND")
    bare.turn()
    bare.let_pass(880)
    bare.turn()
    assert bare.events(Op.REPORT_STATUS_EXTENDED) == []
    bare.let_pass(20)
    bare.turn()
    events = bare.events(Op.REPORT_STATUS_EXTENDED)
    assert [event["OperationSuccess"] for event in events] == [False]
    assert events[0]["Message"] == "Failed to report vm agent status for more than 0:15:00"
    bare.turn()
    assert len(bare.events(Op.REPORT_STATUS_EXTENDED)) == 1, "the quarter begins anew"


def test_dependent_extension_waits_for_the_one_it_names(agent: RootedAgent) -> None:
    second = echo_extension("Fabric.Test.Second", echo="two", secret=None)
    agent.fabric.portal.put_extension(second)
    agent.turn()
    assert {agent.extension(name)[0] for name in (ECHO, second.name)} == {"success"}


def test_history_keeps_documents_without_secrets(agent: RootedAgent) -> None:
    (folder,) = (path for path in agent.paths.history.iterdir() if path.is_dir())
    assert folder.name.endswith("__1")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "GoalState.xml", "ExtensionsConfig.xml", "HostingEnvironmentConfig.xml",
        "SharedConfig.xml", "Certificates.json", f"{ECHO}.manifest.xml", "waagent_status.json",
    }  # fmt: skip
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    text = (folder / "ExtensionsConfig.xml").read_text(encoding="utf-8")
    assert "***REDACTED***" in text
    assert "sig=" not in text
    kept = json.loads((folder / "waagent_status.json").read_text(encoding="utf-8"))
    assert kept == agent.status
    thumbprints = [each.thumbprint for each in agent.fabric.world.sealer.certificates]
    certificates = json.loads((folder / "Certificates.json").read_text(encoding="utf-8"))
    assert sorted(each["thumbprint"] for each in certificates) == sorted(thumbprints)


def test_past_goal_states_become_archives(agent: RootedAgent) -> None:
    for number in range(3):
        agent.fabric.portal.update_settings(ECHO, {"echo": f"number {number}"})
        agent.turn()
    names = sorted(path.name for path in agent.paths.history.iterdir())
    assert [name.rpartition("__")[2] for name in names] == ["1.zip", "2.zip", "3.zip", "4"]
    assert all(
        path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
        for path in agent.paths.history.iterdir()
    )


def test_settings_without_a_secret_need_no_certificate(tmp_path: Path) -> None:
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn()
        assert agent.extension(ECHO)[0] == "success"
        assert Settings().seq_no == agent.item(ECHO)["runtimeSettingsStatus"]["sequenceNumber"]


def test_config_that_stays_bad_does_not_push_out_the_history(plain: RootedAgent) -> None:
    plain.fabric.fault("wire.extensionsconfig", "NOT_XML", 5)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn(5)
    assert sorted(path.name[-3:] for path in plain.paths.history.iterdir()) == ["__1", "__2"]
    (failing,) = (path for path in plain.paths.history.iterdir() if path.name.endswith("__2"))
    assert (failing / "GoalState.xml").is_file(), "so that one can see what it was about"
    assert not plain.lib("ExtensionsConfig.2.xml").exists(), "only what is in force lies there"
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
