"""How Plugins and PluginSettings are matched: the table of WIRE 3.7.3, and what is repaired."""

from __future__ import annotations

import json

import pytest

from waagent.core.errors import DocumentError
from waagent.protocol.documents.extensions import (
    ExtensionsGoalState,
    RequestedState,
    parse_extensions_config,
)

PLUGIN = '<Plugin name="Pub.Type" version="1.0" state="enabled" location="http://l"/>'
OTHER = '<Plugin name="Pub.Other" version="2.0" state="enabled" location="http://l"/>'
OTHER_SETTINGS = (
    '<Plugin name="Pub.Other" version="2.0"><RuntimeSettings seqNo="9">'
    '{"runtimeSettings":[{"handlerSettings":{"publicSettings":{}}}]}</RuntimeSettings></Plugin>'
)
JSON = '{"runtimeSettings":[{"handlerSettings":{"publicSettings":{"a":1}}}]}'
SINGLE = f'<RuntimeSettings seqNo="4">{JSON}</RuntimeSettings>'
MULTI = f'<ExtensionRuntimeSettings seqNo="4" name="one">{JSON}</ExtensionRuntimeSettings>'


def config(settings: str, plugin: str = PLUGIN) -> ExtensionsGoalState:
    """The goal state with these settings, and one more handler that must stay unharmed."""
    goal = parse_extensions_config(
        f"<Extensions><Plugins>{plugin}{OTHER}</Plugins>"
        f"<PluginSettings>{settings}{OTHER_SETTINGS}</PluginSettings></Extensions>".encode()
    )
    other = goal.handlers[-1]
    assert (other.name, other.invalid_reason) == ("Pub.Other", None)
    assert [entry.sequence_number for entry in other.settings] == [9]
    return goal


def settings_of(inner: str, version: str = "1.0", name: str = "Pub.Type") -> str:
    """One PluginSettings/Plugin."""
    return f'<Plugin name="{name}" version="{version}">{inner}</Plugin>'


def test_settings_are_found_whatever_the_case_of_the_name() -> None:
    """The name of the entry is as Plugins has it."""
    handler = config(settings_of(SINGLE, name="pub.TYPE")).handlers[0]
    (entry,) = handler.settings
    assert (entry.name, entry.sequence_number) == ("Pub.Type", 4)
    assert entry.public_settings == {"a": 1}
    assert entry.protected_settings is None
    assert entry.certificate_thumbprint is None


@pytest.mark.parametrize("settings", ["", settings_of(""), settings_of("<DependsOn/><DependsOn/>")])
def test_handler_without_settings_is_valid(settings: str) -> None:
    """Then its dependencies are ignored too."""
    handler = config(settings).handlers[0]
    assert handler.settings == ()
    assert handler.invalid_reason is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (settings_of(SINGLE, version="1.1"), "Version Mismatch"),
        (settings_of(SINGLE) + settings_of("", version="1.1"), "Version Mismatch"),
        (settings_of(SINGLE) + settings_of(SINGLE), "expected 1, 2"),
        (settings_of(SINGLE + MULTI), "Both"),
        (settings_of(SINGLE + SINGLE), "Multiple RuntimeSettings"),
        (settings_of(SINGLE + "<DependsOn/><DependsOn/>"), "Multiple DependsOn"),
        (settings_of(MULTI + '<DependsOn dependencyLevel="1"/>'), "has no name"),
        (settings_of(MULTI.replace('name="one"', "")), "cannot be the name"),
        (settings_of(MULTI.replace('name="one"', 'name="../one"')), "cannot be the name"),
        (settings_of(MULTI.replace('name="one"', 'name="one" state="on"')), "State 'on'"),
        (settings_of(MULTI.replace('seqNo="4"', "")), "no seqNo"),
        (settings_of(SINGLE.replace('"4"', '""')), "no seqNo"),
        (settings_of(SINGLE.replace('"4"', '"four"')), "not an integer"),
        (settings_of('<RuntimeSettings seqNo="4"/>'), "are empty"),
        (settings_of('<RuntimeSettings seqNo="4"><!--x--> </RuntimeSettings>'), "are empty"),
        (settings_of('<RuntimeSettings seqNo="4">[]</RuntimeSettings>'), "object is expected"),
        (settings_of('<RuntimeSettings seqNo="4">{}</RuntimeSettings>'), "runtimeSettings"),
        (settings_of(SINGLE.replace("handlerS", "otherS")), "handlerSettings"),
        (settings_of(SINGLE.replace("publicSettings", "protectedSettings")), "protectedSettings"),
        (settings_of('<RuntimeSettings seqNo="../4">{</RuntimeSettings>'), "no number"),
    ],
)
def test_handler_with_unusable_settings_is_invalid_and_no_other_is(
    settings: str, reason: str
) -> None:
    """What would fail the reference's whole document is among these (WIRE 14, no. 4 and 17)."""
    goal = config(settings)
    text = goal.handlers[0].invalid_reason
    assert text is not None
    assert text.startswith("[ExtensionsConfigError] Pub.Type 1.0: ")
    assert reason in text
    assert [n.handler for n in goal.notes if n.operation == "InvalidExtensionConfig"] == [
        "Pub.Type"
    ]


def test_settings_in_cdata_are_read() -> None:
    """CDATA is text like any other (the reference fails on it)."""
    text = f'<RuntimeSettings seqNo="4"><![CDATA[{JSON}]]></RuntimeSettings>'
    handler = config(settings_of(text)).handlers[0]
    assert handler.invalid_reason is None
    assert handler.settings[0].public_settings == {"a": 1}


def test_settings_that_are_no_json_keep_their_sequence_number_as_text() -> None:
    """So that some status of that number reaches the platform (WIRE 3.7.4)."""
    depends = '<DependsOn dependencyLevel="2"/>'
    text = depends + '<RuntimeSettings seqNo="4">{"secret": </RuntimeSettings>'
    goal = config(settings_of(text))
    handler = goal.handlers[0]
    assert handler.invalid_reason is None
    (entry,) = handler.settings
    assert (entry.name, entry.sequence_number, entry.dependency_level) == ("Pub.Type", "4", 2)
    assert (entry.public_settings, entry.protected_settings) == (None, None)
    assert len(goal.notes) == 1
    assert "secret" not in goal.notes[0].message


def test_settings_array_gives_one_entry_per_item() -> None:
    """Normally one."""
    both = json.dumps(
        {"runtimeSettings": [{"handlerSettings": {"publicSettings": n}} for n in (1, 2)]}
    )
    handler = config(settings_of(f'<RuntimeSettings seqNo="4">{both}</RuntimeSettings>')).handlers[
        0
    ]
    assert [entry.public_settings for entry in handler.settings] == [1, 2]


def test_settings_read_before_an_error_are_kept() -> None:
    """WIRE 3.7.3."""
    handler = config(settings_of(MULTI + "<ExtensionRuntimeSettings/>")).handlers[0]
    assert handler.invalid_reason is not None
    assert handler.is_multi_config
    assert [entry.name for entry in handler.settings] == ["one"]


def test_multi_config_state_is_lower_cased_and_enabled_by_default() -> None:
    """Each extension has its own."""
    second = MULTI.replace('name="one"', 'name="two" state="DISABLED"')
    handler = config(settings_of(MULTI + second)).handlers[0]
    states = [entry.state for entry in handler.settings]
    assert states == [RequestedState.ENABLED, RequestedState.DISABLED]
    assert handler.is_multi_config


def test_single_config_entry_is_enabled_whatever_the_handler_is() -> None:
    """The handler's own state says it already."""
    handler = config(settings_of(SINGLE), PLUGIN.replace("enabled", "uninstall")).handlers[0]
    assert handler.state is RequestedState.UNINSTALL
    assert handler.settings[0].is_enabled


def test_dependency_level_that_is_no_number_is_zero_with_a_note() -> None:
    """The extension is still good."""
    goal = config(settings_of('<DependsOn dependencyLevel="deep"/>' + SINGLE))
    assert goal.handlers[0].settings[0].dependency_level == 0
    assert "'deep'" in goal.notes[0].message


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (PLUGIN.replace('"enabled"', '""'), "Received empty Extensions.Plugins.Plugin.state"),
        (PLUGIN.replace('state="enabled"', ""), "Received empty Extensions.Plugins.Plugin.state"),
        (PLUGIN.replace('"enabled"', '"Enabled"'), "Unknown ext handler state:Enabled"),
        (PLUGIN.replace('"1.0"', '""'), "empty"),
        (PLUGIN.replace("Pub.Type", ""), "empty"),
    ],
)
def test_handler_of_incomplete_attributes_is_invalid(plugin: str, reason: str) -> None:
    """And only that handler."""
    text = config("", plugin).handlers[0].invalid_reason
    assert text is not None
    assert reason in text


def test_handler_uris_come_in_the_documents_order() -> None:
    """Location, fail-over, the additional ones; empty ones are skipped."""
    plugin = (
        '<Plugin name="Pub.Type" version="1.0" state="enabled" failoverlocation="f" location="l">'
        "<additionalLocations><additionalLocation> a </additionalLocation><additionalLocation/>"
        "<additionalLocation>b</additionalLocation></additionalLocations></Plugin>"
    )
    assert config("", plugin).handlers[0].manifest_uris == ("l", "f", "a", "b")


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "..", "a/b", "n&#10;l", "x" * 201])
def test_handler_name_that_could_lead_a_path_astray_refuses_the_document(name: str) -> None:
    """No fabric sends it; whoever does is not obeyed at all."""
    with pytest.raises(DocumentError, match="name or version"):
        config("", PLUGIN.replace("Pub.Type", name))
