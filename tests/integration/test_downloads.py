"""Manifests and packages: direct or through the host, whichever worked last, from any mirror."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fabric import ECHO, Fabric, Vm, echo_extension
from tests.fabric.faults import REFUSE, SPOIL, Fault
from tests.fabric.model import FAST_TRACK_ON
from tests.support.agent import RootedAgent
from waagent.core.events import Op

STORAGE = ("storage.manifests", "storage.packages")
CHANGED = "Default channel changed to {} channel."


def storage_is_down(fabric: Fabric, fault: str = "RESET") -> None:
    """The machine cannot reach storage; the host can."""
    for prefix in STORAGE:
        for number in range(3):
            fabric.fault(f"{prefix}{number}", fault)


def by_host(agent: RootedAgent, since: int = 0) -> list[str]:
    """The URLs that the host was asked for."""
    asked = agent.fabric.journal.entries("hgap.extensionartifact", since)
    return [entry.header("x-ms-artifact-location") or "" for entry in asked]


def changes(agent: RootedAgent) -> list[str]:
    """What was said of the first choice."""
    return [event["Message"] for event in agent.events(Op.DEFAULT_CHANNEL_CHANGE)]


def test_host_fetches_when_storage_is_out_of_reach_and_is_asked_first_from_then_on(
    plain: RootedAgent,
) -> None:
    storage_is_down(plain.fabric)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
    assert changes(plain) == [CHANGED.format("HostGAPlugin")]
    tried = sum(plain.requests(prefix) for prefix in STORAGE)
    assert tried == 6, "of the package's turn on, nothing is tried direct"
    plain.fabric.clear_faults()
    since = plain.now
    plain.fabric.portal.update_extension(ECHO, version="1.1.0")
    plain.turn()
    assert [plain.requests(prefix, since) for prefix in STORAGE] == [0, 0]
    assert len(by_host(plain, since)) == 3, "the profile, the manifest and the package"


def test_storage_is_the_first_choice_again_when_the_host_fails(plain: RootedAgent) -> None:
    storage_is_down(plain.fabric)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    plain.fabric.clear_faults()
    plain.fabric.fault("hgap.artifact", "BAD_GATEWAY")
    plain.fabric.portal.update_extension(ECHO, version="1.1.0")
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
    assert changes(plain) == [CHANGED.format("HostGAPlugin"), CHANGED.format("Direct")]


def test_host_is_told_of_the_manifest_and_of_fast_track(
    plain_fabric: Fabric, tmp_path: Path
) -> None:
    plain_fabric.platform.set_fast_track(FAST_TRACK_ON)
    plain_fabric.portal.put_extension(echo_extension(secret=None))
    storage_is_down(plain_fabric)
    agent = RootedAgent(tmp_path, plain_fabric).start()
    agent.turn()
    assert agent.extension(ECHO)[0] == "success"
    manifest, package = plain_fabric.journal.entries("hgap.extensionartifact")
    location = manifest.header("x-ms-artifact-location")
    assert manifest.header("x-ms-artifact-manifest-location") is None
    assert package.header("x-ms-artifact-manifest-location") == location
    assert manifest.header("x-ms-verify-from-artifacts-blob") == "true"
    assert package.header("x-ms-verify-from-artifacts-blob") == "true"


def test_host_is_not_asked_to_verify_what_the_fabric_wants(plain: RootedAgent) -> None:
    storage_is_down(plain.fabric)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    asked = plain.fabric.journal.entries("hgap.extensionartifact")
    assert [entry.header("x-ms-verify-from-artifacts-blob") for entry in asked] == [None, None]


def test_package_is_asked_for_again_when_the_host_says_that_we_moved(plain: RootedAgent) -> None:
    storage_is_down(plain.fabric)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.fabric.fault("hgap.artifact", "GONE", 1)
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
    assert len(by_host(plain)) == 3
    said = [e for e in plain.events(Op.HOST_PLUGIN) if "goal state" in e["Message"]]
    assert [e["OperationSuccess"] for e in said] == [True]


@pytest.mark.parametrize("fault", ["UNAVAILABLE_ONCE", "RESET", "CUT_SHORT", "SLOW"])
def test_download_that_fails_once_is_tried_again_and_not_fetched_by_the_host(
    plain_fabric: Fabric, tmp_path: Path, fault: str
) -> None:
    agent = RootedAgent(tmp_path, plain_fabric, timeout_s=0.3).start()
    agent.turn()
    for prefix in STORAGE:
        for number in range(3):
            plain_fabric.fault(f"{prefix}{number}", fault, 1)
    plain_fabric.portal.put_extension(echo_extension(secret=None))
    agent.turn()
    assert agent.extension(ECHO)[0] == "success"
    assert by_host(agent) == []


def test_other_mirrors_are_tried_when_one_has_nothing(plain: RootedAgent) -> None:
    for endpoint in ("storage.manifests0", "storage.manifests1", "storage.packages0"):
        plain.fabric.fault(endpoint, "NOT_FOUND")
    plain.fabric.fault("hgap.artifact", "NOT_FOUND")
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"


def test_package_that_nobody_has_is_reported_under_its_code(plain: RootedAgent) -> None:
    for number in range(2):
        plain.fabric.fault(f"storage.packages{number}", "NOT_FOUND")
    plain.fabric.fault("hgap.artifact", "NOT_FOUND")
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    item = plain.item(ECHO)
    assert (item["status"], item["code"]) == ("NotReady", 1001)
    text = item["formattedMessage"]["message"]
    assert text.startswith("Failed to download artifacts: [ExtensionDownloadError] ")
    assert "Download failed both on the primary and fallback channels." in text
    assert "404" in text
    said = [event["Message"] for event in plain.events(Op.HTTP_GET)]
    assert len(said) == 4, "each URI by each way"
    told = "Fetch failed: [ProtocolError] Fetch failed from [http://fabricstore."
    assert all(text.startswith(told) for text in said)
    assert not plain.paths.package(ECHO, "1.0.0").exists()
    assert changes(plain) == []


def test_manifest_that_nobody_has_is_reported_and_others_are_unaffected(plain: RootedAgent) -> None:
    for number in range(3):
        plain.fabric.fault(f"storage.manifests{number}", "NOT_FOUND", 1)
    plain.fabric.fault("hgap.artifact", "NOT_FOUND", 3)
    plain.fabric.portal.put_extension(echo_extension("Fabric.Test.Poor", secret=None))
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    poor = plain.item("Fabric.Test.Poor")
    assert (poor["status"], poor["code"]) == ("NotReady", -1)
    assert plain.extension(ECHO)[0] == "success"


def test_trying_all_mirrors_ends_after_five_minutes(plain: RootedAgent) -> None:
    storage_is_down(plain.fabric, "THROTTLED")
    plain.fabric.fault("hgap.artifact", "BROKEN")
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    started = plain.clock.monotonic()
    plain.process.loop.turn()
    assert plain.clock.monotonic() - started < 300 + 60
    assert plain.item(ECHO)["code"] == -1


@pytest.mark.parametrize(
    ("body", "on_hold"),
    [
        (b'{"onHold": true}', True),
        (b'{"onHold": "True"}\0\0   \0', True),
        (b'{"onHold": false}', False),
        (b"", False),
        (b"no JSON", False),
        (b'{"onHold": 7}', False),
    ],
)
def test_artifacts_profile_holds_extensions(plain: RootedAgent, body: bytes, on_hold: bool) -> None:
    plain.fabric.fault("storage.system", Fault("PROFILE", SPOIL, body=body), 1)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    status = plain.new_status()
    handlers = status["aggregateStatus"]["handlerAggregateStatus"]
    assert len(handlers) == (0 if on_hold else 1)
    held = [e for e in plain.events(Op.EXTENSION_PROCESSING) if "on hold" in e["Message"]]
    assert len(held) == (1 if on_hold else 0)
    since = plain.now
    plain.turn()
    assert plain.requests("storage.", since) == 0, "nothing is retried until a new goal state"


def test_profile_that_cannot_be_had_holds_nothing(plain: RootedAgent) -> None:
    plain.fabric.fault("storage.system", Fault("NO", REFUSE, 404), 1)
    plain.fabric.fault("hgap.artifact", Fault("NO", REFUSE, 404), 1)
    plain.fabric.portal.put_extension(echo_extension(secret=None))
    plain.turn()
    assert plain.extension(ECHO)[0] == "success"
    failures = [e["OperationSuccess"] for e in plain.events(Op.ARTIFACTS_PROFILE)]
    assert failures == [False]


def test_hold_is_not_obeyed_where_the_configuration_says_so(tmp_path: Path) -> None:
    with Fabric(Vm(on_hold=True, has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        agent = RootedAgent(tmp_path, fabric, conf="EnableOverProvisioning=n\n").start()
        agent.turn()
        assert agent.extension(ECHO)[0] == "success"
