"""ExtensionsConfig as captured: what the reference makes of it, per the samples' README."""

from __future__ import annotations

import json

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.extensions import (
    MIN_TIMESTAMP,
    ZERO_GUID,
    AgentFamily,
    ExtensionsGoalState,
    GoalStateChannel,
    GoalStateSource,
    Handler,
    RequestedState,
    Settings,
    empty_extensions,
    parse_extensions_config,
)

EXAMPLE = "OSTCExtensions.ExampleHandlerLinux"


def entries(goal: ExtensionsGoalState) -> dict[str, tuple[object, int]]:
    """Name, sequence number and level of every entry."""
    found = [entry for handler in goal.handlers for entry in handler.settings]
    return {entry.name: (entry.sequence_number, entry.dependency_level) for entry in found}


def test_extensions_config_of_one_extension_is_read_whole() -> None:
    """Signed, two families, a block blob."""
    goal = parse_extensions_config(sample("wire/ext_conf.xml"))
    assert (goal.source, goal.channel) == (GoalStateSource.FABRIC, GoalStateChannel.WIRE_SERVER)
    assert goal.created_on == "2021-11-16T13:22:50.620522Z"
    assert goal.activity_id == "a33f6f53-43d6-4625-b322-1a39651a00c9"
    assert [family.name for family in goal.agent_families] == ["Prod", "Test"]
    assert goal.agent_families[0] == AgentFamily(
        "Prod", uris=("http://mock-goal-state/manifest_of_ga.xml",)
    )
    assert goal.status_blob is not None
    assert goal.status_blob.type == "BlockBlob"
    assert goal.status_blob.url.startswith("https://test.blob.core.windows.net/vhds/test-cs12")
    assert "&sig=" in goal.status_blob.url
    assert goal.on_hold is False
    assert goal.required_features == ()
    assert goal.notes == ()
    (handler,) = goal.handlers
    assert handler.full_name == f"{EXAMPLE}-1.0.0"
    assert handler.state is RequestedState.ENABLED
    assert handler.is_signed
    assert len(handler.manifest_uris) == 2
    (entry,) = handler.settings
    assert (entry.name, entry.sequence_number) == (EXAMPLE, 0)
    assert entry.public_settings == {"foo": "bar"}
    assert entry.protected_settings == "MIICWgYJK"
    assert entry.certificate_thumbprint == "F6ABAA61098A301EBB8A571C3C7CF77F355F7FA9"


def test_extensions_config_gives_the_ids_of_its_metadata() -> None:
    """Absent ones are zero."""
    goal = parse_extensions_config(sample("wire/ext_conf_in_vm_metadata.xml"))
    assert goal.activity_id == "555e551c-600e-4fb4-90ba-8ab8ec28eccc"
    assert goal.correlation_id == "400de90b-522e-491f-9d89-ec944661f531"
    assert goal.created_on == "2020-11-09T17:48:50.412125Z"


def test_extensions_config_of_five_handlers_trims_the_status_url() -> None:
    """Its text begins with a line break."""
    goal = parse_extensions_config(sample("wire/ext_conf_multiple_extensions.xml"))
    assert len(goal.handlers) == 5
    assert all(handler.invalid_reason is None for handler in goal.handlers)
    assert goal.status_blob is not None
    assert goal.status_blob.url.startswith("https://")
    assert goal.status_blob.url == goal.status_blob.url.strip()


def test_extensions_config_dependencies_sort_the_handlers() -> None:
    """Level 1 before level 2."""
    goal = parse_extensions_config(sample("wire/ext_conf_sequencing.xml"))
    order = sorted(goal.handlers, key=lambda handler: handler.handler_sort_key)
    assert [handler.name for handler in order] == [
        "OSTCExtensions.OtherExampleHandlerLinux",
        EXAMPLE,
    ]
    assert [handler.handler_sort_key for handler in order] == [1, 2]


def test_extensions_config_asks_for_an_agent_version() -> None:
    """Flags are text, here with a capital."""
    goal = parse_extensions_config(sample("wire/ext_conf_rsm_version.xml"))
    family = goal.agent_families[0]
    assert (family.name, family.version) == ("Prod", "9.9.9.10")
    assert family.is_version_from_rsm is True
    assert family.is_vm_enabled_for_rsm_upgrades is True


def test_extensions_config_of_multi_config_has_an_entry_for_each_extension() -> None:
    """Sequence numbers and levels as the README has them."""
    data = sample("wire/multi-config/ext_conf_with_multi_config.xml")
    goal = parse_extensions_config(data)
    assert len(goal.handlers) == 5
    assert goal.status_blob is not None
    assert goal.status_blob.type == "PageBlob"
    assert goal.required_features == ("MultipleExtensionsPerHandler",)
    assert [handler.is_multi_config for handler in goal.handlers] == [True] + [False] * 4
    assert entries(goal) == {
        "firstRunCommand": (2, 0),
        "secondRunCommand": (2, 3),
        "thirdRunCommand": (1, 4),
        "Microsoft.Compute.CustomScriptExtension": (2, 1),
        "Microsoft.Compute.VMAccessAgent": (1, 2),
        "Microsoft.Azure.Security.AntimalwareSignature.AntimalwareConfiguration": (1, 0),
        "Microsoft.Azure.Geneva.GenevaMonitoring": (1, 0),
    }
    assert goal.on_hold is None, "the artifacts profile has to be asked"
    assert goal.artifacts_profile_url is not None
    assert (goal.activity_id, goal.correlation_id) == (ZERO_GUID, ZERO_GUID)
    assert goal.created_on == "2020-11-20T23:49:15.552231Z"


def test_extensions_config_with_settings_of_other_versions_goes_on_without_that_handler() -> None:
    """The handler becomes NotReady; the goal state is good."""
    data = sample("wire/invalid_config/ext_conf_plugin_settings_version_mismatch.xml")
    goal = parse_extensions_config(data)
    (handler,) = goal.handlers
    assert handler.invalid_reason is not None
    assert handler.invalid_reason.startswith(f"[ExtensionsConfigError] {EXAMPLE} 1.0.0: ")
    found = "Expected PluginSettings version: 1.0.0, found: 1.0.1, 1.0.2"
    assert found in handler.invalid_reason
    assert handler.settings == ()
    operations = [note.operation for note in goal.notes]
    assert operations == ["PluginSettingsVersionMismatch", "InvalidExtensionConfig"]


def test_extensions_config_beside_vm_settings_is_seven_microseconds_older() -> None:
    """The counterpart of vm_settings.json."""
    goal = parse_extensions_config(sample("hostgaplugin/ext_conf.xml"))
    assert goal.id == "incarnation_10"
    assert goal.created_on == "2021-11-16T13:22:50.620522Z"
    assert [len(handler.manifest_uris) for handler in goal.handlers] == [3] * 5
    assert goal.required_features == ("MultipleExtensionsPerHandler",)


def test_extensions_config_is_named_by_the_incarnation_which_is_reported_back() -> None:
    """Not by inSvdSeqNo (WIRE 3.7.2)."""
    goal = parse_extensions_config(sample("wire/ext_conf.xml"))
    assert (goal.id, goal.svd_seq_no) == ("incarnation_9", "9")
    moved = goal.with_incarnation("77")
    assert (moved.id, moved.svd_seq_no) == ("incarnation_77", "77")
    assert moved.handlers == goal.handlers


def test_extensions_config_without_any_block_is_good() -> None:
    """Any block may be missing."""
    goal = parse_extensions_config(b"<Extensions/>")
    assert goal.handlers == ()
    assert goal.status_blob is None
    assert goal.created_on == MIN_TIMESTAMP
    assert goal.on_hold is False


def test_empty_extensions_want_nothing_and_can_be_compared() -> None:
    """The reference fails on comparing them (WIRE 14, no. 1)."""
    goal = empty_extensions("3")
    assert goal.id == "incarnation_3"
    assert (goal.source, goal.channel) == (GoalStateSource.EMPTY, GoalStateChannel.EMPTY)
    assert goal.created_on < "2021-11-16T13:22:50.620522Z"
    assert goal.handlers == ()
    assert not goal.supports_signatures


def test_extensions_config_does_not_show_secrets_in_its_repr() -> None:
    """A goal state in a log line gives neither settings nor tokens away."""
    text = repr(parse_extensions_config(sample("wire/ext_conf.xml")))
    for secret in ("MIICWgYJK", "sig=", "foo"):
        assert secret not in text


@pytest.mark.parametrize("kind", ["blockblob", "AppendBlob", ""])
def test_extensions_config_takes_an_unknown_blob_type_for_a_block_blob(kind: str) -> None:
    """With a note."""
    data = (
        f'<Extensions><StatusUploadBlob statusBlobType="{kind}">u</StatusUploadBlob></Extensions>'
    )
    goal = parse_extensions_config(data.encode())
    assert goal.status_blob is not None
    assert goal.status_blob.type == "BlockBlob"
    assert len(goal.notes) == 1


def test_extensions_config_that_is_no_xml_is_refused_without_repeating_it() -> None:
    """It may hold secrets."""
    with pytest.raises(DocumentError, match="ExtensionsConfig") as caught:
        parse_extensions_config(b"<Extensions>" + json.dumps({"secret": 1}).encode())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("state", "entry_state", "level", "key"),
    [
        ("enabled", "enabled", 0, 0),
        ("enabled", "enabled", 3, 3),
        ("enabled", "disabled", 3, -4),
        ("uninstall", "enabled", 0, -1),
        ("disabled", "disabled", 1, -2),
    ],
)
def test_handler_sort_key_puts_removals_first_and_deepest_first(
    state: str, entry_state: str, level: int, key: int
) -> None:
    """EXT 2.3."""
    entry = Settings("e", 1, state=RequestedState(entry_state), dependency_level=level)
    handler = Handler("h", "1", RequestedState(state), settings=(entry,))
    assert handler.sort_key(entry) == key
    assert handler.sort_key() == (0 if state == "enabled" else -1)
