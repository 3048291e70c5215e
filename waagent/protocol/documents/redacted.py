"""What may be kept of documents that hold secrets, for the history folders (spec WIRE 3.11).

Settings and tokens are found in the parsed document, not by a pattern over its text, and the rest
stays as it is. What cannot be parsed is not kept at all: a sentence stands for it.
"""

from __future__ import annotations

import json
from typing import Any

from waagent.core import xml
from waagent.core.errors import DocumentError
from waagent.protocol.documents.json_fields import parse_json

REDACTED = "***REDACTED***"

_SETTINGS = ("RuntimeSettings", "ExtensionRuntimeSettings")
_TOKEN_URLS = ("StatusUploadBlob", "InVMArtifactsProfileBlob", "HealthStatusBlobUri")


def redact_extensions_config(data: bytes) -> bytes:
    """ExtensionsConfig without protected settings and without the tokens of its URLs."""
    try:
        document = xml.parse(data, "ExtensionsConfig")
    except DocumentError as error:
        return _instead(error)
    for node in list(document.walk()):
        attributes = xml.attributes(node)
        cut = {name: _without_token(value) for name, value in attributes.items()}
        if cut != attributes:
            xml.replace_attributes(node, cut)
        if node.name in _SETTINGS:
            node.replace_content(_redact_settings(node.content()))
        elif node.name in _TOKEN_URLS:
            node.replace_content(_without_query(node.content()))
        elif _without_token(node.content()) != node.content():
            node.replace_content(_without_token(node.content()))
    return document.render()


def redact_vm_settings(data: bytes) -> bytes:
    """VmSettings without protected settings and without the token of its status blob's URL."""
    try:
        parse_json(data, "vmSettings")
    except DocumentError as error:
        return _instead(error)
    return _redact_json(data.decode("utf-8-sig")).encode("utf-8")


def _redact_settings(text: str) -> str:
    """Settings that are no JSON may hold anything, and go as a whole."""
    try:
        parse_json(text, "settings")
    except DocumentError:
        return REDACTED if text.strip() else text
    return _redact_json(text)


class _Members(list[tuple[str, Any]]):
    """A JSON object as its members: of two with one name a mapping would hide the first."""


def _redact_json(text: str) -> str:
    """Replace the secrets where they stand; write the whole anew where that does not find them."""
    secrets: dict[str, str] = {}
    redacted = _walk(json.loads(text, object_pairs_hook=_Members), secrets, key="")
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(_escaped(secret), _escaped(secrets[secret]))
    try:
        if json.loads(text, object_pairs_hook=_Members) == redacted:
            return text
    except ValueError:
        pass  # a short secret can occur in the structure itself
    return json.dumps(_as_mapping(redacted), indent=2)


def _walk(value: Any, secrets: dict[str, str], key: str) -> Any:
    """A copy with the secrets replaced; each text is noted with what stands for it now."""
    if key == "protectedsettings" and value:
        if isinstance(value, str):
            secrets[value] = REDACTED
        return REDACTED
    if isinstance(value, _Members):
        return _Members((name, _walk(item, secrets, name.casefold())) for name, item in value)
    if isinstance(value, list):
        return [_walk(item, secrets, key) for item in value]
    if not isinstance(value, str):
        return value
    is_url = value.strip()[:4].lower() == "http"
    cut = _without_query(value) if key == "value" and is_url else _without_token(value)
    if cut != value:
        secrets[value] = cut
    return cut


def _as_mapping(value: Any) -> Any:
    if isinstance(value, _Members):
        return {name: _as_mapping(item) for name, item in value}
    return [_as_mapping(item) for item in value] if isinstance(value, list) else value


def _without_token(text: str) -> str:
    """The text without its query when it is one URL with a signature; else as it is."""
    stripped = text.strip()
    is_signed_url = stripped[:4].lower() == "http" and "sig=" in stripped.lower()
    is_one_word = len(stripped.split(None, 1)) == 1
    return _without_query(text) if is_signed_url and is_one_word else text


def _without_query(text: str) -> str:
    head, mark, query = text.partition("?")
    return f"{head}?{REDACTED}" if mark and query.strip() else text


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _instead(error: DocumentError) -> bytes:
    return f"Error redacting text: {error}".encode("utf-8", "replace")
