"""States of the fabric, the host and the disk that a child could stay in for ever, and does not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric, echo_extension
from tests.fabric.faults import REFUSE, Fault
from tests.fabric.model import FAST_TRACK_FABRIC, FAST_TRACK_OFF, FAST_TRACK_ON, ticks_of
from tests.fabric.vmsettings import render_vm_settings
from tests.support.agent import RootedAgent
from waagent.core.events import Op
from waagent.protocol.documents.extensions import GoalStateSource

BASELESS = Fault("NOT_MODIFIED", REFUSE, 304)


@pytest.fixture
def fast(plain_fabric: Fabric, tmp_path: Path) -> RootedAgent:
    """A machine whose host serves vmSettings with one extension that runs."""
    plain_fabric.platform.set_fast_track(FAST_TRACK_ON)
    plain_fabric.portal.put_extension(echo_extension(echo="fast", secret=None))
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    assert "echo=fast" in agent.extension(ECHO)[2]
    return agent


def source(agent: RootedAgent) -> GoalStateSource:
    return agent.session.store.current().extensions.source


def enables(agent: RootedAgent) -> int:
    """How often the extension was enabled."""
    found = (agent.root / "var/log/extension-calls.txt", agent.lib("extension-calls.txt"))
    return sum(path.read_text().count("== enable ") for path in found if path.exists())


def whole_settings(agent: RootedAgent) -> Fault:
    """The host's settings as they are now, whatever ETag is sent."""
    world = agent.fabric.world
    body = render_vm_settings(world.vm, world.addresses, world.sealer)
    return Fault("WHOLE", REFUSE, 200, body, (("ETag", world.vm.etag),))


# The fabric


def test_goal_state_that_never_can_be_read_leaves_status_going_and_the_next_good_one_is_taken(
    plain: RootedAgent,
) -> None:
    plain.fabric.fault("wire.goalstate", "NOT_XML")
    for _ in range(8):
        plain.new_status()
    plain.fabric.clear_faults()
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"


def test_incarnation_that_goes_backwards_is_a_new_goal_state(plain: RootedAgent) -> None:
    for echo in ("one", "two"):
        plain.fabric.portal.put_extension(echo_extension(echo=echo, secret=None))
        plain.turn()
    goal = replace(
        plain.fabric.vm.goal,
        extensions=(echo_extension(echo="three", secret=None),),
        created_ticks=ticks_of(50),
    )
    plain.fabric.platform.change(new_incarnation=False, incarnation=1, goal=goal)
    plain.turn()
    assert "echo=three" in plain.extension(ECHO)[2]
    assert plain.lib("Incarnation").read_text() == "1"


def test_older_goal_state_under_a_new_number_is_not_run_and_the_next_newer_one_is(
    plain: RootedAgent,
) -> None:
    plain.fabric.portal.put_extension(echo_extension(echo="new", secret=None))
    plain.turn()
    old = replace(
        plain.fabric.vm.goal,
        extensions=(echo_extension(echo="old", secret=None),),
        created_ticks=ticks_of(0),
    )
    plain.fabric.platform.change(goal=old)
    plain.turn(2)
    assert "echo=new" in plain.extension(ECHO)[2]
    plain.fabric.portal.update_settings(ECHO, {"echo": "newest"})
    plain.turn()
    assert "echo=newest" in plain.extension(ECHO)[2]


def test_container_that_changes_each_time_costs_one_request_more_at_most(
    plain: RootedAgent,
) -> None:
    for number in range(5):
        plain.fabric.platform.move_to_new_container(new_incarnation=False)
        since = plain.now
        plain.turn()
        assert plain.requests("wire.goalstate", since) <= 2, number
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"


def test_host_that_takes_us_for_another_container_is_gone_round(plain: RootedAgent) -> None:
    before = len(plain.statuses)
    plain.fabric.fault("hgap.status", "WRONG_CONTAINER", 3)
    plain.turn(3)
    assert len(plain.statuses) == before + 3, "directly, to storage"
    plain.turn()
    assert plain.requests("hgap.status") >= 4, "and the host is asked again each time"


# Certificates


def test_certificates_that_come_late_are_noticed_and_what_failed_without_them_runs(
    fabric: Fabric, tmp_path: Path
) -> None:
    fabric.fault("wire.certificates", "NOT_FOUND")
    agent = RootedAgent(tmp_path, fabric).start()
    agent.turn()
    assert agent.item(ECHO)["status"] == "NotReady"
    asked = agent.requests("wire.certificates")
    agent.turn(5)
    assert agent.requests("wire.certificates") == asked, "not in every turn"
    agent.let_pass(60)
    agent.turn()
    assert agent.requests("wire.certificates") == asked + 2, "by both ciphers"
    agent.let_pass(60)
    agent.turn()
    assert agent.requests("wire.certificates") == asked + 2, "the pause is longer now"
    fabric.clear_faults()
    agent.let_pass(120)
    agent.turn()
    assert agent.extension(ECHO)[0] == "success"
    assert enables(agent) == 2
    agent.let_pass(7200)
    agent.turn(2)
    assert enables(agent) == 2, "once they are here nothing is done again"


def test_certificate_that_never_comes_is_asked_for_about_once_an_hour(
    fabric: Fabric, tmp_path: Path
) -> None:
    agent = RootedAgent(tmp_path, fabric)
    fabric.fault("wire.certificates", "NOT_FOUND")
    agent.start().turn()
    agent.let_pass(60 + 120 + 240 + 480 + 960 + 1920)
    asked = agent.requests("wire.certificates")
    for _ in range(24 * 2):
        agent.let_pass(1800)
        agent.turn()
    assert agent.requests("wire.certificates") - asked <= 2 * (24 + 6)


def test_rotated_certificates_arrive_with_a_new_incarnation(agent: RootedAgent) -> None:
    old = {each.thumbprint for each in agent.session.store.current().certificates}
    agent.fabric.platform.rotate_certificates()
    agent.turn()
    new = {each.thumbprint for each in agent.session.store.current().certificates}
    assert not old & new
    assert agent.extension(ECHO)[0] == "success"


def test_machine_that_wakes_up_elsewhere_with_the_same_incarnation_goes_on(
    fabric: Fabric, tmp_path: Path
) -> None:
    """Hibernation: another container, other certificates, the incarnation that it had."""
    fabric.platform.set_fast_track(FAST_TRACK_ON)
    agent = RootedAgent(tmp_path, fabric).start()
    agent.turn()
    fabric.platform.rotate_certificates(new_incarnation=False)
    fabric.platform.move_to_new_container(new_incarnation=False)
    fabric.portal.update_settings(ECHO, {"echo": "awake"}, {"secret": "new key"})
    since = agent.now
    agent.turn()
    assert "echo=awake" in agent.extension(ECHO)[2]
    assert agent.requests("wire.certificates", since) == 1, "by a refresh of everything"
    said = [event["Message"] for event in agent.events(Op.GOAL_STATE)]
    (text,) = (each for each in said if "out of sync" in each)
    assert text.startswith("The extensions goal state is out of sync with the tenant cert. ")
    assert text.endswith(f", needed by {ECHO}, is missing.")


# The host's settings


def test_settings_that_flap_leave_nothing_behind(fast: RootedAgent) -> None:
    for number in range(3):
        fast.fabric.platform.set_fast_track(FAST_TRACK_OFF)
        fast.fabric.portal.put_extension(echo_extension(echo=f"fabric {number}", secret=None))
        fast.turn()
        assert f"echo=fabric {number}" in fast.extension(ECHO)[2]
        fast.fabric.platform.set_fast_track(FAST_TRACK_ON)
        fast.fabric.portal.put_extension(echo_extension(echo=f"host {number}", secret=None))
        fast.let_pass(6 * 3600)
        fast.turn()
        assert f"echo=host {number}" in fast.extension(ECHO)[2]


def test_source_that_switches_back_to_the_same_number_is_carried_out_again(
    fast: RootedAgent,
) -> None:
    fast.fabric.platform.set_fast_track(FAST_TRACK_FABRIC)
    fast.fabric.portal.put_extension(echo_extension(echo="fabric", secret=None))
    fast.turn()
    vm = fast.fabric.vm
    newer = replace(
        vm.goal,
        extensions=(echo_extension(echo="host", secret=None),),
        created_ticks=ticks_of(60),
    )
    fast.fabric.platform.change(
        new_incarnation=False, fast_track=FAST_TRACK_ON, fast_goal=newer, etag="77"
    )
    fast.turn()
    assert "echo=host" in fast.extension(ECHO)[2]
    fast.fabric.platform.change(new_incarnation=False, fast_track=FAST_TRACK_OFF)
    latest = replace(vm.goal, created_ticks=ticks_of(70))
    fast.fabric.platform.change(new_incarnation=False, goal=latest)
    fast.turn()
    assert source(fast) is GoalStateSource.FABRIC
    assert "echo=fabric" in fast.extension(ECHO)[2]


def test_settings_that_change_under_the_same_etag_are_carried_out(fast: RootedAgent) -> None:
    vm = fast.fabric.vm
    later = replace(
        vm.fast_goal,
        extensions=(echo_extension(echo="later", secret=None),),
        created_ticks=ticks_of(60),
    )
    fast.fabric.platform.change(new_incarnation=False, fast_goal=later)
    assert fast.fabric.vm.etag == vm.etag
    answer = whole_settings(fast)
    fast.fabric.fault("hgap.vmsettings", answer, 2)
    fast.turn(2)
    assert "echo=later" in fast.extension(ECHO)[2]
    assert enables(fast) == 2, "once for each"


def test_settings_that_came_with_a_delivery_that_failed_are_not_forgotten(
    fast: RootedAgent,
) -> None:
    number = fast.fabric.vm.incarnation
    fast.fabric.portal.update_settings(ECHO, {"echo": "next"})
    fast.fabric.platform.change()
    fast.fabric.fault("wire.sharedconfig", "NOT_FOUND", 1)
    fast.turn()
    assert "echo=fast" in fast.extension(ECHO)[2]
    fast.fabric.platform.change(new_incarnation=False, incarnation=number)
    fast.turn()
    assert fast.fabric.journal.entries("hgap.vmsettings")[-1].answer == 304
    assert "echo=next" in fast.extension(ECHO)[2]


def test_host_that_never_says_not_modified_costs_nothing(fast: RootedAgent) -> None:
    fast.fabric.fault("hgap.vmsettings", whole_settings(fast))
    fast.turn()
    (folder,) = (path for path in fast.paths.history.iterdir() if path.is_dir())
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    signed = len(fast.events(Op.EXTENSION_SIGNED))
    fast.turn(5)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    assert len(fast.events(Op.EXTENSION_SIGNED)) == signed
    assert enables(fast) == 1


def test_not_modified_without_a_base_fails_the_update_and_is_gone_with_the_fault(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    plain_fabric.platform.set_fast_track(FAST_TRACK_ON)
    plain_fabric.portal.put_extension(echo_extension(secret=None))
    plain_fabric.fault("hgap.vmsettings", BASELESS, 3)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    assert agent.waits == [6.0] * 3
    agent.turn()
    assert source(agent) is GoalStateSource.FAST_TRACK


@pytest.mark.parametrize(
    "fault",
    [
        BASELESS,
        Fault("ERROR", REFUSE, 500, b"Azure Stack"),
        Fault("UNREADABLE", REFUSE, 200, b'{"gaFamilies": 7}', (("ETag", "9"),)),
    ],
    ids=lambda each: each.name,
)
def test_host_that_fails_for_ever_is_done_without(
    plain_fabric: Fabric, tmp_path: Path, fault: Fault
) -> None:
    plain_fabric.portal.put_extension(echo_extension(secret=None))
    plain_fabric.fault("hgap.vmsettings", fault)
    conf = "Extensions.GoalStatePeriod=30\n"
    agent = RootedAgent(tmp_path, plain_fabric, conf=conf).start()
    assert sum(agent.waits) == 300, "so long the first goal state is waited for"
    agent.turn()
    assert agent.extension(ECHO)[0] == "success"
    since = agent.now
    agent.turn(4)
    assert agent.requests("hgap.vmsettings", since) == 2, "once a minute"
    told = [e["Message"] for e in agent.events(Op.VM_SETTINGS) if not e["OperationSuccess"]]
    assert len(told) == 1
    assert told[0].startswith("The fabric's goal state has to do without vmSettings: ")
    agent.fabric.portal.update_settings(ECHO, {"echo": "next"})
    agent.turn()
    assert "echo=next" in agent.extension(ECHO)[2], "and so are the next ones"
    agent.fabric.clear_faults()
    agent.fabric.platform.set_fast_track(FAST_TRACK_ON)
    agent.fabric.portal.update_settings(ECHO, {"echo": "by the host"})
    agent.let_pass(60)
    agent.turn()
    assert source(agent) is GoalStateSource.FAST_TRACK
    assert "echo=by the host" in agent.extension(ECHO)[2]


def test_newer_goal_state_of_a_host_that_fails_since_is_not_taken_back(
    fast: RootedAgent,
) -> None:
    fast.fabric.fault("hgap.vmsettings", "BROKEN")
    fast.turn()
    fast.let_pass(300)
    fast.turn()
    fast.fabric.platform.change()  # a new incarnation; its extensions are of before
    fast.turn()
    assert source(fast) is GoalStateSource.FAST_TRACK
    fast.start(fresh=True)
    assert fast.session.store.current().extensions.is_outdated
    fast.new_status()
    assert enables(fast) == 1


def test_outdated_goal_state_stays_so_under_another_number(fast: RootedAgent) -> None:
    vm = fast.fabric.vm
    older = replace(vm.goal, created_ticks=ticks_of(0))
    fast.fabric.platform.change(fast_track=FAST_TRACK_OFF, new_incarnation=False, goal=older)
    fast.new_status()
    assert fast.session.store.current().extensions.is_outdated
    fast.fabric.platform.rotate_certificates()
    fast.new_status()
    assert fast.session.store.current().extensions.is_outdated
    assert enables(fast) == 1
    fast.fabric.portal.put_extension(echo_extension(echo="newest", secret=None))
    fast.turn()
    assert "echo=newest" in fast.extension(ECHO)[2]


# The disk is a copy


def test_move_to_an_older_host_is_noticed_although_the_record_on_disk_is_lost(
    fast: RootedAgent,
) -> None:
    fast.paths.fast_track.unlink()
    older = replace(fast.fabric.vm.goal, created_ticks=ticks_of(0))
    fast.fabric.platform.change(fast_track=FAST_TRACK_OFF, new_incarnation=False, goal=older)
    fast.new_status()
    assert fast.session.store.current().extensions.is_outdated


@pytest.mark.parametrize("damage", ["deleted", "corrupted", "unwritable"])
def test_copies_in_the_lib_dir_are_never_read_back(agent: RootedAgent, damage: str) -> None:
    names = ("GoalState.*.xml", "ExtensionsConfig.*.xml", "HostingEnvironmentConfig.xml",
             "SharedConfig.xml", "*.manifest.xml", "Incarnation", "Protocol",
             "WireServerEndpoint", "initial_goal_state", "Certificates.*")  # fmt: skip
    copies = [path for name in names for path in agent.paths.lib.glob(name)]
    assert len(copies) >= 8
    for path in copies:
        if damage == "corrupted":
            path.write_bytes(b"\0<broken")
        else:
            path.unlink()
        if damage == "unwritable":
            path.mkdir()
    if damage != "corrupted":
        shutil.rmtree(agent.paths.history)
    if damage == "unwritable":
        agent.paths.history.write_text("a file in its place")
    snapshot, since = agent.session.store.current(), agent.now
    agent.turn(3)
    assert agent.session.store.current() is snapshot
    assert agent.requests("wire.extensionsconfig", since) == 0
    assert agent.item(ECHO)["status"] == "Ready"
    assert enables(agent) == 1
    agent.fabric.portal.update_settings(ECHO, {"echo": "next"}, {"secret": "y"})
    agent.turn()
    assert "echo=next" in agent.extension(ECHO)[2]
