"""Documents without their secrets, otherwise the same (WIRE 3.11)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.samples import sample
from waagent.protocol.documents.extensions import StatusBlob, parse_extensions_config
from waagent.protocol.documents.redacted import (
    REDACTED,
    redact_extensions_config,
    redact_vm_settings,
)
from waagent.protocol.documents.vm_settings import parse_vm_settings

CONFIGS = (
    "wire/ext_conf.xml",
    "wire/ext_conf_multiple_extensions.xml",
    "wire/multi-config/ext_conf_with_multi_config.xml",
    "hostgaplugin/ext_conf.xml",
)


def settings(text: str) -> bytes:
    """An ExtensionsConfig whose settings are this text."""
    return (
        "<Extensions><PluginSettings><Plugin><RuntimeSettings seqNo='1'>"
        f"<![CDATA[{text}]]></RuntimeSettings></Plugin></PluginSettings></Extensions>"
    ).encode()


@pytest.mark.parametrize("name", CONFIGS)
def test_redacted_config_differs_only_in_its_secrets(name: str) -> None:
    """Read again it gives the same goal state but for them."""
    before = parse_extensions_config(sample(name))
    kept = redact_extensions_config(sample(name))
    after = parse_extensions_config(kept)
    assert before.status_blob is not None
    assert after.status_blob is not None
    assert after.status_blob.url == before.status_blob.url.partition("?")[0] + f"?{REDACTED}"
    assert b"sig=" not in kept
    for old, new in zip(before.handlers, after.handlers):
        expected = tuple(
            replace(e, protected_settings=REDACTED if e.protected_settings else None)
            for e in old.settings
        )
        assert new == replace(old, settings=expected)
        for entry in old.settings:
            assert (entry.protected_settings or "-none-").encode() not in kept


def test_redacted_vm_settings_keep_the_text_around_the_secrets() -> None:
    """Line by line the same."""
    before = sample("hostgaplugin/vm_settings.json").decode().splitlines()
    after = redact_vm_settings(sample("hostgaplugin/vm_settings.json")).decode().splitlines()
    changed = [new for old, new in zip(before, after) if old != new]
    assert len(before) == len(after)
    assert len(changed) == 4
    assert all(REDACTED in line for line in changed)
    blob = parse_vm_settings("\n".join(after).encode()).status_blob
    assert isinstance(blob, StatusBlob)
    assert blob.url.endswith(f"?{REDACTED}")


@pytest.mark.parametrize(
    "secret",
    ["MIIB+/=", "a", "", '"', "\\", "runtimeSettings", "é\u2028", {"a": "SECRET"}, ["SECRET"], 7],
)
def test_redacted_settings_hold_no_protected_ones_whatever_they_look_like(secret: Any) -> None:
    """Also where the text of the secret occurs elsewhere too."""
    handler = {"protectedSettings": secret, "publicSettings": {"a": "b", "runtimeSettings": 1}}
    text = json.dumps({"runtimeSettings": [{"handlerSettings": handler}]})
    kept = parse_kept(settings(text))
    inner = kept["runtimeSettings"][0]["handlerSettings"]
    assert inner["protectedSettings"] == (REDACTED if secret else secret)
    assert inner["publicSettings"] == {"a": "b", "runtimeSettings": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"protectedSettings": "SECRET", "protectedSettings": "x"}',
        '{"protectedSettings": "SECRET", "PROTECTEDSETTINGS": null}',
        r'{"protectedSettings": "\u0053ECRET"}',
        r'{"protected\u0053ettings": "SECRET"}',
        '{"protectedSettings": "SECRET"',
        "SECRET",
    ],
)
def test_redacted_settings_hold_no_secret_however_it_is_spelled(text: str) -> None:
    """Twice the same name, escapes, no JSON at all."""
    kept = redact_extensions_config(settings(text))
    assert b"SECRET" not in kept
    assert b"\\u0053ECRET" not in kept
    assert redact_vm_settings(text.encode()).find(b"SECRET") == -1


def test_redacted_urls_without_a_query_stay() -> None:
    """The reference garbles the document there (WIRE 14, no. 9)."""
    data = b"<Extensions><StatusUploadBlob>https://a/b</StatusUploadBlob></Extensions>"
    assert b"<StatusUploadBlob>https://a/b</StatusUploadBlob>" in redact_extensions_config(data)
    value = b'{"statusUploadBlob": {"value": "https://a/b"}}'
    assert redact_vm_settings(value) == value


def test_redacted_config_cuts_signed_urls_wherever_they_are() -> None:
    """Also in attributes and elements that the spec does not name."""
    data = b"<Extensions><A u='https://a/b?sv=1&amp;sig=S'>https://c/d?sig=S</A></Extensions>"
    kept = redact_extensions_config(data)
    assert b"sig=S" not in kept
    assert kept.count(REDACTED.encode()) == 2


@pytest.mark.parametrize("data", [b"", b"<Extensions>", b"{", b"\xff", b"SECRET"])
def test_redacted_document_that_cannot_be_read_is_a_sentence(data: bytes) -> None:
    """Never the document itself."""
    for redact in (redact_extensions_config, redact_vm_settings):
        assert redact(data).startswith(b"Error redacting text: cannot read ")
        assert b"SECRET" not in redact(data)


def parse_kept(data: bytes) -> Any:
    """The settings that stay in a config."""
    kept = redact_extensions_config(data).decode()
    text = kept.partition("<RuntimeSettings")[2].partition(">")[2].partition("</Runtime")[0]
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
