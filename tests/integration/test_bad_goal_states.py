"""Goal states, extensions configs and vmSettings that are damaged or hostile.

Whatever comes, the text says which document and what was wrong with it, the goal state from
before stays in force, its status goes out, and the next good one is carried out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.documents import render_extensions_config, render_goal_state
from tests.fabric.faults import SPOIL, Fault
from tests.fabric.model import FAST_TRACK_ON
from tests.support.agent import RootedAgent
from waagent.core.events import Op

SECOND = "Fabric.Test.Second"
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    b"<%s><Incarnation>&c;</Incarnation></%s>"
)
OUTSIDE = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><%s>&f;</%s>'
DEEP = b"<a>" * 5000 + b"</a>" * 5000
Spoil = Callable[[bytes], bytes]

DAMAGE: dict[str, tuple[Spoil, str]] = {
    "nothing at all": (lambda _: b"", "not well-formed XML"),
    "cut short": (lambda good: good[: len(good) // 2], "not well-formed XML at line"),
    "not XML": (lambda _: b"Service Unavailable", "not well-formed XML at line 1"),
    "half a character": (lambda good: good.replace(b"<", b"<\xff\xfe", 1), "not well-formed XML"),
    "nul bytes": (lambda _: b"\0" * 4096, "not well-formed XML"),
    "another document": (lambda _: b"<html><body/></html>", 'the root is "html", not'),
    "too deep": (lambda _: DEEP, "not well-formed XML|nested deeper than 64 levels"),
    "too large": (lambda good: good + b" " * (17 << 20), "bytes are over|larger than"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootedAgent]:
    """The agent of a machine without certificates, whose one extension has succeeded."""
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        one = RootedAgent(tmp_path_factory.mktemp("machine"), fabric).start()
        one.turn()
        assert one.extension(ECHO)[0] == "success"
        yield one


@pytest.fixture
def agent(shared: RootedAgent) -> RootedAgent:
    """That agent, with nothing said yet and only its own extension wanted."""
    for path in shared.paths.events.glob("*.tld"):
        path.unlink()
    shared.fabric.clear_faults()
    shared.process.loop.failures_since_heartbeat = 0
    if len(shared.fabric.vm.goal.extensions) > 1:
        shared.fabric.portal.drop_extensions(SECOND)
        shared.turn()
    return shared


def good_goal_state(agent: RootedAgent) -> bytes:
    return render_goal_state(agent.fabric.vm, agent.fabric.world.addresses)


def good_config(agent: RootedAgent) -> bytes:
    world = agent.fabric.world
    return render_extensions_config(world.vm, world.addresses, world.sealer)


def failures(agent: RootedAgent) -> list[str]:
    """What was sent of failing refreshes."""
    found = agent.events(Op.FETCH_GOAL_STATE)
    return [event["Message"] for event in found if not event["OperationSuccess"]]


def kept_in_lib(agent: RootedAgent) -> dict[str, bytes]:
    """The copies that people and other software read."""
    names = ("*.xml", "*.crt", "*.prv", "*.pem", "Incarnation")
    found = [path for name in names for path in agent.paths.lib.glob(name)]
    return {path.name: path.read_bytes() for path in found}


def check_refused(agent: RootedAgent, endpoint: str, body: bytes, document: str, why: str) -> None:
    """A turn with this body leaves all as it was and says why; the next turn is a good one."""
    before, message = kept_in_lib(agent), agent.extension(ECHO)[2]
    wanted = f"wanted by {agent.fabric.vm.incarnation}"
    agent.fabric.portal.update_settings(ECHO, {"echo": wanted})
    agent.fabric.fault(endpoint, Fault("BAD", SPOIL, body=body))
    agent.new_status()
    assert agent.item(ECHO)["status"] == "Ready"
    assert agent.extension(ECHO)[0] == "success"
    assert agent.extension(ECHO)[2] == message
    (said,) = failures(agent)
    assert said.startswith("Error fetching the goal state: ")
    assert f"cannot read {document}: " in said or "cannot use the answer to GET " in said
    assert any(each in said for each in why.split("|")), said
    assert len(said) < 1000, "a hostile document is not repeated"
    assert "\n" not in said
    after = kept_in_lib(agent)
    kept = {name: content for name, content in before.items() if name in after}
    assert len(kept) >= len(before) - 2, "of each kind the oldest may go"
    del kept["Incarnation"]
    assert {name: after[name] for name in kept} == kept
    agent.fabric.clear_faults()
    agent.new_status()
    assert f"echo={wanted}" in agent.extension(ECHO)[2]
    (recovered,) = (e for e in agent.events(Op.FETCH_GOAL_STATE) if e["OperationSuccess"])
    assert recovered["Message"].startswith("Fetching the goal state recovered")


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_goal_state_leaves_the_one_before_in_force(agent: RootedAgent, kind: str) -> None:
    spoil, why = DAMAGE[kind]
    body = spoil(good_goal_state(agent))
    check_refused(agent, "wire.goalstate", body, "the goal state", why)


@pytest.mark.parametrize("template", [BOMB, OUTSIDE], ids=["bomb", "file"])
def test_goal_state_with_a_document_type_is_refused_unexpanded(
    agent: RootedAgent, template: bytes
) -> None:
    body = template % (b"GoalState", b"GoalState")
    why = "a document type declaration is refused"
    check_refused(agent, "wire.goalstate", body, "the goal state", why)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"<Incarnation>", b"<Incarnation>../../etc/", "cannot be an incarnation"),
        (b"<Incarnation>", b"<Incarnation>7\n", "cannot be an incarnation"),
        (b"<Incarnation>", b"<Encarnation/><Incarnation>" + b"9" * 3000, "cannot be an incarnatio"),
        (b"Container>", b"Kontainer>", "Container"),
        (b"<ContainerId>", b"<ContainerId>a\r\nHost: evil ", "ContainerId"),
        (b"ContainerId>", b"KontainerId>", "ContainerId"),
        (b"HostingEnvironmentConfig>", b"Gone>", "HostingEnvironmentConfig"),
        (b"SharedConfig>", b"Gone>", "SharedConfig"),
    ],
    ids=["path", "line", "long", "no container", "header", "no id", "no hosting", "no shared"],
)
def test_goal_state_whose_parts_cannot_be_used_names_the_part(
    agent: RootedAgent, old: bytes, new: bytes, why: str
) -> None:
    good = good_goal_state(agent)
    assert old in good
    check_refused(agent, "wire.goalstate", good.replace(old, new), "the goal state", why)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_extensions_config_leaves_the_goal_state_before_in_force(
    agent: RootedAgent, kind: str
) -> None:
    spoil, why = DAMAGE[kind]
    body = spoil(good_config(agent))
    check_refused(agent, "wire.extensionsconfig", body, "ExtensionsConfig", why)


@pytest.mark.parametrize("template", [BOMB, OUTSIDE], ids=["bomb", "file"])
def test_extensions_config_with_a_document_type_is_refused_unexpanded(
    agent: RootedAgent, template: bytes
) -> None:
    body = template % (b"Extensions", b"Extensions")
    why = "a document type declaration is refused"
    check_refused(agent, "wire.extensionsconfig", body, "ExtensionsConfig", why)


@pytest.mark.parametrize(
    ("attribute", "word"),
    [("name", "../../../etc/cron.d/x"), ("name", "a/b"), ("name", "a&#10;b"), ("version", "..")],
)
def test_handler_whose_name_or_version_leads_elsewhere_is_refused(
    agent: RootedAgent, attribute: str, word: str
) -> None:
    value = ECHO if attribute == "name" else "1.0.0"
    good = good_config(agent)
    old = f'{attribute}="{value}"'.encode()
    assert old in good
    body = good.replace(old, f'{attribute}="{word}"'.encode())
    outside = {path for path in agent.root.rglob("*") if agent.paths.lib not in path.parents}
    check_refused(
        agent, "wire.extensionsconfig", body, "ExtensionsConfig", "be a handler's name or version"
    )
    made = {path for path in agent.root.rglob("*") if agent.paths.lib not in path.parents}
    assert made - outside == set()


SETTINGS = b'<RuntimeSettings seqNo="0">'
BAD_SETTINGS: dict[str, tuple[bytes, bytes, str]] = {
    "no number": (b'seqNo="0"', b"", "have no seqNo"),
    "a word for a number": (b'seqNo="0"', b'seqNo="../0"', "seqNo '../0'"),
    "another version": (
        b'Second" version="1.0.0"><Run',
        b'Second" version="1.1"><Run',
        "found: 1.1",
    ),
    "nothing in it": (b"{", b"<!-- {", "are empty"),
    "another shape": (b"runtimeSettings", b"runtimeSattings", "runtimeSettings"),
    "no handler settings": (b"handlerSettings", b"handlerSattings", "handlerSettings"),
    "settings twice": (SETTINGS, SETTINGS + b"{}</RuntimeSettings>" + SETTINGS, "Multiple Runtime"),
    "two kinds": (
        SETTINGS,
        b'<ExtensionRuntimeSettings seqNo="0" name="a">{}</ExtensionRuntimeSettings>' + SETTINGS,
        "Both RuntimeSettings and ExtensionRuntimeSettings",
    ),
}


@pytest.mark.parametrize("kind", BAD_SETTINGS)
def test_settings_that_cannot_be_used_cost_only_their_own_handler(
    agent: RootedAgent, kind: str
) -> None:
    old, new, why = BAD_SETTINGS[kind]
    agent.fabric.portal.update_settings(ECHO, {"echo": "good one"})
    agent.fabric.portal.put_extension(echo_extension(SECOND, echo="bad one", secret=None))
    head, mark, tail = good_config(agent).rpartition(b'<Plugin name="' + SECOND.encode())
    tail = mark + tail
    assert old in tail
    closing = b" --></RuntimeSettings>" if b"<!--" in new else b"</RuntimeSettings>"
    tail = tail.replace(old, new, 1).replace(b"</RuntimeSettings></Plugin>", closing + b"</Plugin>")
    agent.fabric.fault("wire.extensionsconfig", Fault("BAD", SPOIL, body=head + tail))
    agent.new_status()
    assert agent.process.loop.failures_since_heartbeat == 0
    assert "echo=good one" in agent.extension(ECHO)[2]
    item = agent.item(SECOND)
    assert item["status"] == "NotReady"
    message = item["formattedMessage"]["message"]
    assert SECOND in message
    assert any(each in message for each in why.split("|")), message
    said = agent.events(Op.INVALID_EXTENSION_CONFIG)
    assert any(why.split("|")[0] in event["Message"] for event in said)
    agent.fabric.clear_faults()
    agent.fabric.platform.change()
    agent.new_status()
    assert "echo=bad one" in agent.extension(SECOND)[2]
    assert "echo=good one" in agent.extension(ECHO)[2]


def test_settings_that_are_not_json_are_told_of_and_cost_only_themselves(
    agent: RootedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    agent.fabric.portal.update_settings(ECHO, {"echo": "good one"})
    agent.fabric.portal.put_extension(echo_extension(SECOND, echo="bad one", secret=None))
    head, mark, tail = good_config(agent).rpartition(b'<RuntimeSettings seqNo="0">')
    bad = tail.replace(b"{", b"{secretly broken ", 1)
    agent.fabric.fault("wire.extensionsconfig", Fault("BAD", SPOIL, body=head + mark + bad))
    agent.new_status()
    assert (
        f'Only the sequence number is used: cannot read the settings of "{SECOND}"' in caplog.text
    )
    assert "secretly" not in caplog.text
    assert "echo=good one" in agent.extension(ECHO)[2]
    assert agent.item(SECOND)["runtimeSettingsStatus"]["sequenceNumber"] == 0
    assert "echo= " in agent.extension(SECOND)[2], "it was run without settings"


@pytest.mark.parametrize("endpoint", ["wire.hostingenvironmentconfig", "wire.sharedconfig"])
def test_other_documents_that_are_damaged_stop_no_turn(agent: RootedAgent, endpoint: str) -> None:
    agent.fabric.portal.update_settings(ECHO, {"echo": "wanted now"})
    agent.fabric.fault(endpoint, Fault("BAD", SPOIL, body=b"<Hosting"), 1)
    agent.new_status()
    agent.new_status()
    assert "echo=wanted now" in agent.extension(ECHO)[2]


VM_SETTINGS: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "not valid JSON|no JSON|JSON"),
    "cut short": (b'{"hostGAPluginVersion": "1.0.8.150", "vmSett', "JSON"),
    "not JSON": (b"<html>no</html>", "JSON"),
    "a list": (b"[]", "object"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "nest|deep|JSON"),
    "invalid UTF-8": (b'{"hostGAPluginVersion": "\xff\xfe"}', "UTF-8|utf-8|JSON"),
    "another type": ({"hostGAPluginVersion": 7}, "hostGAPluginVersion"),
    "names that lead elsewhere": (
        {"extensionGoalStates": [{"name": "../../x", "version": "1.0.0", "location": "u"}]},
        "name",
    ),
    "half of an extension": ({"extensionGoalStates": [7]}, "extensionGoalStates"),
}


@pytest.fixture
def fast(agent: RootedAgent) -> RootedAgent:
    """The agent after its host has begun to serve vmSettings, and after they were asked for."""
    if agent.fabric.vm.fast_track != FAST_TRACK_ON:
        agent.fabric.platform.set_fast_track(FAST_TRACK_ON)
        agent.let_pass(6 * 3600)
    agent.fabric.portal.update_settings(ECHO, {"echo": "first"})
    agent.new_status()
    for path in agent.paths.events.glob("*.tld"):
        path.unlink()
    return agent


@pytest.mark.parametrize("kind", VM_SETTINGS)
def test_settings_of_the_host_that_cannot_be_read_leave_those_before_in_force(
    fast: RootedAgent, kind: str
) -> None:
    given, why = VM_SETTINGS[kind]
    agent, settled = fast, fast.fabric
    good = json.loads(agent.fabric.journal.entries("hgap.vmsettings")[-1].answer_body)
    body = given if isinstance(given, bytes) else json.dumps({**good, **given}).encode()
    settled.portal.update_settings(ECHO, {"echo": "wanted now"})
    settled.fault("hgap.vmsettings", Fault("BAD", SPOIL, body=body))
    agent.new_status()
    assert "echo=first" in agent.extension(ECHO)[2]
    (said,) = failures(agent)
    assert "Error parsing vmSettings [HGAP: " in said
    assert f"Etag:{settled.vm.etag}]: cannot read vmSettings" in said
    assert any(each in said for each in why.split("|")), said
    assert len(said) < 1000
    kept = [p for p in agent.paths.history.iterdir() if p.name.endswith(f"__{settled.vm.etag}")]
    assert len(kept) == 1
    settled.clear_faults()
    agent.new_status()
    assert "echo=wanted now" in agent.extension(ECHO)[2]
