"""vmSettings as captured, and each rule of WIRE 4.3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.extensions import (
    MIN_TIMESTAMP,
    ZERO_GUID,
    ExtensionsGoalState,
    GoalStateChannel,
    GoalStateSource,
    parse_extensions_config,
)
from waagent.protocol.documents.vm_settings import is_supported, parse_vm_settings

HANDLER = {
    "name": "Pub.Type",
    "version": "1.0",
    "state": "enabled",
    "location": "http://l",
    "settingsSeqNo": 5,
    "settings": [{"publicSettings": '{"a":1}'}],
}
ENTRY = {"extensionName": "one", "seqNo": 2, "extensionState": "enabled", "publicSettings": None}
MULTI = {**HANDLER, "isMultiConfig": True, "settings": [ENTRY, {**ENTRY, "extensionName": "two"}]}


def parsed(**members: Any) -> ExtensionsGoalState:
    """The goal state of a document with these members."""
    return parse_vm_settings(json.dumps(members).encode())


def test_vm_settings_of_the_fabric_are_read_whole() -> None:
    """The captured ones, 7 microseconds newer than their counterpart."""
    goal = parse_vm_settings(sample("hostgaplugin/vm_settings.json")).with_etag("1234")
    fabric = parse_extensions_config(sample("hostgaplugin/ext_conf.xml"))
    assert goal.host_plugin_version == "1.0.8.133"
    assert is_supported(goal)
    assert goal.id == "etag_1234"
    assert (goal.source, goal.channel) == (GoalStateSource.FAST_TRACK, GoalStateChannel.HOST_PLUGIN)
    assert goal.created_on == "2021-11-16T13:22:50.620529Z"
    assert goal.created_on > fabric.created_on
    assert goal.on_hold is True
    assert goal.svd_seq_no == 1
    assert goal.status_blob == fabric.status_blob
    assert goal.agent_families == fabric.agent_families
    assert goal.required_features == fabric.required_features
    assert not goal.supports_signatures


def test_vm_settings_have_the_same_handlers_as_the_fabrics_document() -> None:
    """One type for both sources, whatever the case of the keys."""
    vm = parse_vm_settings(sample("hostgaplugin/vm_settings.json")).handlers
    fabric = parse_extensions_config(sample("hostgaplugin/ext_conf.xml")).handlers
    assert len(vm) == 5
    assert [handler.is_signed for handler in vm] == [True] + [False] * 4
    assert [h.full_name for h in vm] == [h.full_name for h in fabric]
    assert [h.manifest_uris for h in vm] == [h.manifest_uris for h in fabric]
    assert [h.settings for h in vm[:4]] == [h.settings for h in fabric[:4]]
    assert [h.settings[0].dependency_level for h in vm[:3]] == [0, 0, 1]
    levels = {entry.name: entry.dependency_level for entry in vm[3].settings}
    assert levels == {"MCExt1": 2, "MCExt2": 1, "MCExt3": 0}
    assert vm[3].is_multi_config


def test_vm_settings_with_an_empty_status_url_have_no_status_blob() -> None:
    """Nowhere to report to is no reason to run nothing; the fabric's document has the same rule."""
    assert parsed(statusUploadBlob={"value": ""}).status_blob is None


def test_vm_settings_may_have_no_status_blob() -> None:
    """The captured ones without."""
    goal = parse_vm_settings(sample("hostgaplugin/vm_settings-no_status_upload_blob.json"))
    assert goal.status_blob is None


def test_vm_settings_ask_for_an_agent_version() -> None:
    """Flags are booleans here."""
    data = sample("hostgaplugin/vm_settings-agent_family_version.json")
    family = parse_vm_settings(data).agent_families[0]
    assert family.version == "9.9.9.9"
    assert family.is_version_from_rsm is True
    assert family.is_vm_enabled_for_rsm_upgrades is True


def test_vm_settings_without_members_have_the_defaults() -> None:
    """Null and absent are the same."""
    goal = parse_vm_settings(b'\xef\xbb\xbf{"activityId": null}')
    assert goal.host_plugin_version == "0.0.0.0"
    assert not is_supported(goal)
    assert (goal.activity_id, goal.correlation_id, goal.svd_seq_no) == (ZERO_GUID,) * 3
    assert goal.created_on == MIN_TIMESTAMP
    assert goal.source is GoalStateSource.UNKNOWN
    assert goal.on_hold is False
    assert goal.handlers == ()


def test_vm_settings_keys_may_be_of_any_case_and_the_later_one_counts() -> None:
    """Plugin versions differ in it."""
    goal = parsed(ONHOLD=False, onhold=True, InSvdSeqNo="7", EXTENSIONGOALSTATESSOURCE="Fabric")
    assert goal.on_hold is True
    assert goal.svd_seq_no == "7"
    assert goal.source is GoalStateSource.FABRIC


@pytest.mark.parametrize(("version", "supported"), [("1.0.8.158", False), ("1.0.8.159", True)])
def test_vm_settings_support_signatures_since_a_version(version: str, supported: bool) -> None:
    """Older plugins do not say whether there is one."""
    assert parsed(hostGAPluginVersion=version).supports_signatures is supported


def test_vm_settings_single_config_takes_name_number_and_state_of_the_handler() -> None:
    """Its public settings are text that holds JSON."""
    handler = parsed(extensionGoalStates=[{**HANDLER, "state": "disabled"}]).handlers[0]
    (entry,) = handler.settings
    assert (entry.name, entry.sequence_number) == ("Pub.Type", 5)
    assert entry.state is handler.state
    assert entry.public_settings == {"a": 1}


def test_vm_settings_dependency_without_settings_is_dropped_with_a_note() -> None:
    """There is no entry to carry the level."""
    depends = [{"dependencyLevel": 2}]
    goal = parsed(extensionGoalStates=[{**HANDLER, "settings": None, "dependsOn": depends}])
    assert goal.handlers[0].settings == ()
    assert "dependency level" in goal.notes[0].message


def test_vm_settings_empty_depends_on_is_level_zero_with_a_note() -> None:
    """Not an error."""
    goal = parsed(extensionGoalStates=[{**HANDLER, "dependsOn": []}])
    assert goal.handlers[0].settings[0].dependency_level == 0
    assert len(goal.notes) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"extensionGoalStates": {}},
        {"gaFamilies": [{"uris": []}]},
        {"gaFamilies": [{"name": "Prod", "uris": [1]}]},
        {"gaFamilies": [{"name": "Prod", "isVersionFromRSM": "true"}]},
        {"requiredFeatures": [{}]},
        {"requiredFeatures": {"name": "x"}},
        {"statusUploadBlob": {}},
        {"inSvdSeqNo": [1]},
        {"onHold": "true"},
        {"activityId": 7},
        {"hostGAPluginVersion": "new"},
        {"extensionGoalStates": [{**HANDLER, "name": None}]},
        {"extensionGoalStates": [{**HANDLER, "name": "../x"}]},
        {"extensionGoalStates": [{**HANDLER, "version": "a/b"}]},
        {"extensionGoalStates": [{**HANDLER, "name": "\ud800"}]},
        {"extensionGoalStates": [{**HANDLER, "state": "Enabled"}]},
        {"extensionGoalStates": [{**HANDLER, "state": ""}]},
        {"extensionGoalStates": [{**HANDLER, "settingsSeqNo": None}]},
        {"extensionGoalStates": [{**HANDLER, "settingsSeqNo": True}]},
        {"extensionGoalStates": [{**HANDLER, "settings": [{}, {}]}]},
        {"extensionGoalStates": [{**HANDLER, "settings": [{"protectedSettings": "x"}]}]},
        {"extensionGoalStates": [{**HANDLER, "settings": [{"publicSettings": "{"}]}]},
        {"extensionGoalStates": [{**HANDLER, "settings": [{"publicSettings": {}}]}]},
        {"extensionGoalStates": [{**HANDLER, "dependsOn": [{}]}]},
        {"extensionGoalStates": [{**HANDLER, "dependsOn": [{"dependencyLevel": 1}] * 2}]},
        {"extensionGoalStates": [{**HANDLER, "additionalLocations": "http://x"}]},
        {"extensionGoalStates": [{**MULTI, "settings": [{**ENTRY, "seqNo": None}]}]},
        {"extensionGoalStates": [{**MULTI, "settings": [{**ENTRY, "extensionName": "a/b"}]}]},
        {"extensionGoalStates": [{**MULTI, "settings": [{**ENTRY, "extensionState": "on"}]}]},
        {"extensionGoalStates": [{**MULTI, "dependsOn": [{"name": "x", "dependencyLevel": 1}]}]},
    ],
    ids=str,
)
def test_vm_settings_that_break_a_rule_are_refused_whole(members: dict[str, Any]) -> None:
    """The error says which plugin sent them, and nothing of what they hold."""
    data = json.dumps({"hostGAPluginVersion": "1.0.8.200", **members}).encode()
    with pytest.raises(DocumentError, match="cannot read vmSettings") as caught:
        parse_vm_settings(data)
    assert caught.value.facts in ({"host_plugin_version": "1.0.8.200"}, {})


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"1", b"\xff\xfe", b'{"a":' * 200_000, b"[" * 101 + b"]" * 101]
)
def test_vm_settings_that_are_no_json_object_are_refused(data: bytes) -> None:
    """However they are broken."""
    with pytest.raises(DocumentError, match="vmSettings"):
        parse_vm_settings(data)


def test_vm_settings_error_does_not_repeat_protected_settings() -> None:
    """The text goes to logs and telemetry."""
    data = b'{"extensionGoalStates": [{"settings": [{"protectedSettings": "SECRET"'
    with pytest.raises(DocumentError) as caught:
        parse_vm_settings(data)
    assert "SECRET" not in f"{caught.value} {caught.value.facts}"
    assert caught.value.__cause__ is None
