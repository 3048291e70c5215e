"""vmSettings: served or not, by an old host, moved, unreadable; and which source is in force."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.faults import REFUSE, SPOIL, Fault
from tests.fabric.model import FAST_TRACK_FABRIC, FAST_TRACK_OFF, FAST_TRACK_ON
from tests.support.agent import RootedAgent
from waagent.core.events import Op
from waagent.protocol.documents.extensions import GoalStateSource


@pytest.fixture
def fast(bare_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """A machine without extensions whose host serves vmSettings, after the first turn."""
    bare_fabric.platform.set_fast_track(FAST_TRACK_ON)
    bare_fabric.portal.set_goal(lambda goal: replace(goal, extensions=()))
    agent = RootedAgent(tmp_path, bare_fabric).start()
    agent.turn()
    return agent


def source(agent: RootedAgent) -> GoalStateSource:
    """Which source is in force."""
    return agent.session.store.current().extensions.source


def features(agent: RootedAgent) -> list[str]:
    """What the status announces."""
    return [each["Key"] for each in agent.status["supportedFeatures"]]


def test_settings_are_asked_for_with_their_etag_and_kept_when_not_modified(
    fast: RootedAgent,
) -> None:
    assert source(fast) is GoalStateSource.FAST_TRACK
    fast.turn()
    asked = fast.fabric.journal.entries("hgap.vmsettings")
    assert [entry.answer for entry in asked] == [200, 304, 304]
    assert [entry.header("if-none-match") for entry in asked] == [None, *[fast.fabric.vm.etag] * 2]
    assert len({entry.header("x-ms-client-correlationid") for entry in asked}) == 3
    assert "FastTrack" in features(fast)


def test_change_by_fast_track_is_carried_out_without_a_new_incarnation(fast: RootedAgent) -> None:
    since = fast.now
    fast.fabric.portal.put_extension(echo_extension(echo="quick"))
    fast.turn()
    assert "echo=quick" in fast.extension(ECHO)[2]
    assert fast.requests("wire.extensionsconfig", since) == 0
    goal = fast.status["aggregateStatus"]["vmArtifactsAggregateStatus"]["goalStateAggregateStatus"]
    assert goal["inSvdSeqNo"] == fast.fabric.vm.fast_goal.in_svd_seq_no
    record = json.loads(fast.paths.fast_track.read_text(encoding="utf-8"))
    assert record == {"timestamp": fast.session.store.current().extensions.created_on}
    (manifest,) = fast.fabric.journal.entries("storage.manifests", since)
    assert manifest.header("x-ms-verify-from-artifacts-blob") is None, "that is for the host"


def test_newer_of_both_sources_is_in_force(fast: RootedAgent) -> None:
    fast.fabric.platform.rotate_certificates()  # a new incarnation, whose extensions are older
    fast.turn()
    assert source(fast) is GoalStateSource.FAST_TRACK
    fast.fabric.platform.set_fast_track(FAST_TRACK_FABRIC)
    fast.fabric.portal.put_extension(echo_extension(secret=None))
    fast.turn()
    assert source(fast) is GoalStateSource.FABRIC
    assert fast.extension(ECHO)[0] == "success"
    assert not fast.paths.fast_track.exists()


def test_host_that_does_not_serve_settings_is_not_asked_for_six_hours(bare: RootedAgent) -> None:
    assert bare.requests("hgap.vmsettings") == 1
    bare.turn(3)
    assert bare.requests("hgap.vmsettings") == 1
    assert "FastTrack" not in features(bare)
    assert [e["Message"] for e in bare.events(Op.VM_SETTINGS)] == [
        "[VmSettingsNotSupported] HostGAPlugin: unknown"
    ]
    bare.let_pass(6 * 3600)
    bare.turn()
    assert bare.requests("hgap.vmsettings") == 2
    bare.start()
    assert bare.requests("hgap.vmsettings") == 3, "a restart asks again"


def test_host_that_is_too_old_counts_as_one_that_does_not_serve_settings(tmp_path: Path) -> None:
    with Fabric(Vm(fast_track=FAST_TRACK_ON, host_plugin_version="1.0.8.132")) as fabric:
        agent = RootedAgent(tmp_path, fabric).start()
        agent.turn(2)
        assert source(agent) is GoalStateSource.FABRIC
        assert agent.requests("hgap.vmsettings") == 1
        assert [e["Message"] for e in agent.events(Op.VM_SETTINGS)] == [
            "[VmSettingsNotSupported] HostGAPlugin: 1.0.8.132"
        ]


def test_settings_are_asked_for_again_once_when_the_container_moved(fast: RootedAgent) -> None:
    since = fast.now
    fast.fabric.fault("hgap.vmsettings", "GONE", 1)
    fast.turn()
    assert fast.requests("hgap.vmsettings", since) == 2
    assert fast.process.loop.failures_since_heartbeat == 0
    fast.fabric.fault("hgap.vmsettings", "GONE", 2)
    fast.new_status()
    assert fast.process.loop.failures_since_heartbeat == 1


def test_older_goal_state_is_not_carried_out_when_the_machine_moved_to_an_older_host(
    fast: RootedAgent,
) -> None:
    fast.fabric.portal.put_extension(echo_extension(echo="newest", secret=None))
    fast.turn()
    calls = fast.lib("extension-calls.txt")
    before = calls.stat().st_size if calls.exists() else 0
    # Moved: no settings are served, and the fabric's own document is from before.
    vm = fast.fabric.vm
    fast.fabric.platform.change(fast_track=FAST_TRACK_OFF, new_incarnation=False, goal=vm.goal)
    status = fast.new_status()
    assert fast.session.store.current().extensions.is_outdated
    assert status["aggregateStatus"]["handlerAggregateStatus"] == []
    assert (calls.stat().st_size if calls.exists() else 0) == before
    assert (fast.handler(ECHO) / "config" / "HandlerState").read_text() == "Enabled"
    assert not fast.paths.fast_track.exists()
    stopped = [e for e in fast.events(Op.VM_SETTINGS) if not e["OperationSuccess"]]
    assert [e["Message"] for e in stopped] == ["[VmSettingsSupportStopped] HostGAPlugin: 1.0.8.175"]
    assert "FastTrack" not in features(fast)
    fast.fabric.portal.put_extension(echo_extension(echo="after the move", secret=None))
    fast.turn()
    assert "echo=after the move" in fast.extension(ECHO)[2]


def test_move_to_an_older_host_is_not_forgotten_when_its_first_goal_state_fails(
    fast: RootedAgent,
) -> None:
    fast.fabric.platform.change(fast_track=FAST_TRACK_OFF, new_incarnation=False)
    fast.fabric.fault("wire.sharedconfig", "NOT_FOUND", 1)
    fast.turn()
    assert source(fast) is GoalStateSource.FAST_TRACK
    fast.turn()
    assert source(fast) is GoalStateSource.FABRIC


def test_older_goal_state_is_not_carried_out_when_fast_track_is_switched_off(
    fast: RootedAgent, tmp_path: Path
) -> None:
    fast.fabric.portal.put_extension(echo_extension(secret=None))
    fast.turn()
    since = fast.now
    agent = RootedAgent(tmp_path, fast.fabric, conf="Debug.EnableFastTrack=n\n").start()
    assert agent.session.store.current().extensions.is_outdated
    agent.new_status()
    assert agent.requests("hgap.vmsettings", since) == 0
    assert not agent.paths.fast_track.exists()
    agent.start()
    assert not agent.session.store.current().extensions.is_outdated


@pytest.mark.parametrize(("failures", "pauses"), [(0, 0), (2, 1)])
def test_certificates_that_lag_behind_are_asked_for_at_once_then_after_a_pause(
    fast: RootedAgent, failures: int, pauses: int
) -> None:
    fast.fabric.platform.rotate_certificates(new_incarnation=False)
    fast.fabric.portal.put_extension(echo_extension())
    fast.fabric.fault("wire.certificates", "NOT_FOUND", failures)
    since, waits = fast.now, len(fast.waits)
    fast.process.loop.turn()
    assert fast.waits[waits:] == [6.0] * pauses
    assert fast.requests("wire.certificates", since) == failures + 1
    assert fast.extension(ECHO)[0] == "success"


def test_extension_is_tried_without_certificates_that_do_not_come(fast: RootedAgent) -> None:
    fast.fabric.platform.rotate_certificates(new_incarnation=False)
    fast.fabric.portal.put_extension(echo_extension())
    fast.fabric.fault("wire.certificates", "NOT_FOUND")
    fast.turn()
    assert (fast.item(ECHO)["status"], fast.item(ECHO)["code"]) == ("NotReady", 1009)
    fast.fabric.clear_faults()
    fast.fabric.portal.update_settings(ECHO, {"echo": "again"}, {"secret": "x"})
    fast.turn()
    assert fast.extension(ECHO)[0] == "success"


def test_certificate_files_that_vanished_are_fetched_again(fast: RootedAgent) -> None:
    thumbprint = fast.fabric.world.sealer.certificates[0].thumbprint
    fast.lib(f"{thumbprint}.crt").unlink()
    since = fast.now
    fast.fabric.portal.put_extension(echo_extension())
    fast.turn()
    assert fast.requests("wire.certificates", since) == 1
    assert fast.extension(ECHO)[0] == "success"


def test_failing_host_is_told_of_three_times_an_hour_and_summed_up(fast: RootedAgent) -> None:
    fast.fabric.fault("hgap.vmsettings", "BROKEN", 4)
    fast.turn(4)
    fast.fabric.fault("hgap.vmsettings", "BAD_GATEWAY", 1)
    fast.turn()
    fast.fabric.fault("hgap.vmsettings", Fault("TEAPOT", REFUSE, 418), 1)
    fast.turn()
    fast.fabric.fault("hgap.vmsettings", "RESET", 1)
    fast.turn()
    assert fast.process.loop.failures_since_heartbeat == 7
    said = [e["Message"] for e in fast.events(Op.VM_SETTINGS)]
    assert len(said) == 3
    assert all(text.startswith("[ServerError] GET vmSettings [correlation ID: ") for text in said)
    fast.let_pass(3600)
    fast.turn()
    (summary,) = (json.loads(e["Message"]) for e in fast.events(Op.VM_SETTINGS_SUMMARY))
    assert summary == {
        "requests": 10, "errors": 7, "serverErrors": 5, "clientErrors": 1, "timeouts": 0,
        "failedRequests": 1,
    }  # fmt: skip


def test_silent_host_counts_as_a_timeout(fast: RootedAgent, tmp_path: Path) -> None:
    agent = RootedAgent(tmp_path, fast.fabric, timeout_s=0.2).start()
    agent.fabric.fault("hgap.vmsettings", "SLOW", 1)
    agent.new_status()
    assert agent.events(Op.VM_SETTINGS)[-1]["Message"].startswith("[Timeout] GET vmSettings")
    agent.fabric.clear_faults()
    agent.turn()
    assert agent.process.loop.failures_since_heartbeat == 1


def test_settings_that_cannot_be_read_are_kept_once_and_fail_only_the_update(
    fast: RootedAgent,
) -> None:
    fast.fabric.portal.put_extension(echo_extension())
    fast.fabric.fault("hgap.vmsettings", Fault("BAD", SPOIL, body=b'{"gaFamilies": 7}'), 2)
    for _ in range(2):
        fast.new_status()
    assert fast.process.loop.failures_since_heartbeat == 2
    kept = [path for path in fast.paths.history.iterdir() if path.name.endswith("__1004")]
    assert len(kept) == 1
    assert (kept[0] / "VmSettings.json").read_bytes() == b'{"gaFamilies": 7}'
    fast.turn()
    assert fast.extension(ECHO)[0] == "success"
