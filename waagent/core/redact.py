"""Take secrets out of text before it is logged, sent or stored.

SAS queries are recognised wherever they stand (spec WIRE 2.12, CLI 4.5): the reference looks
only at https URLs whose first parameter is a SAS one; we look at every parameter.
"""

from __future__ import annotations

import re

REDACTED = "<redacted>"

_SAS_KEYS = r"(?:sv|st|se|sr|sp|sip|spr|sig|skoid|sktid|skt|ske|sks|skv)"
# A URL whose query has a SAS parameter anywhere: everything after "?" goes.
_URL = re.compile(
    rf"(?i)(\bhttps?://[^\s?\"'<>]+\?)(?=[^\s\"'<>]*?\b{_SAS_KEYS}(?:=|%3d))[^\s\"'<>]+"
)
# A lone signature outside of a URL, as in a copied query string.
_SIGNATURE = re.compile(r"(?i)\b(sig(?:=|%3d))(?!<redacted>)[^\s&\"'<>]+")
_PASSWORD = re.compile(
    r"(?is)(<(?:\w+:)?(?:User)?Password\b[^>]*>).*?(</(?:\w+:)?(?:User)?Password\s*>)"
)
_PROTECTED = re.compile(r'(?i)("(?:protectedSettings|password|userPassword)"\s*:\s*")[^"]*(")')


def redact(text: str) -> str:
    """The text without SAS queries, passwords and protected settings."""
    if "?" in text or "sig" in text or "SIG" in text or "Sig" in text:
        text = _URL.sub(rf"\1{REDACTED}", text)
        text = _SIGNATURE.sub(rf"\1{REDACTED}", text)
    if "assword" in text or "ASSWORD" in text:
        text = _PASSWORD.sub(rf"\1{REDACTED}\2", text)
    if '"' in text:
        text = _PROTECTED.sub(rf"\1{REDACTED}\2", text)
    return text


def without_query(url: str) -> str:
    """The URL up to its query, for messages that name where a request went."""
    return url.split("?", 1)[0]
