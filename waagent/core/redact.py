"""Take secrets out of text before it is logged, sent or stored.

SAS queries are recognised wherever they stand (spec WIRE 2.12, CLI 4.5): the reference looks
only at https URLs whose first parameter is a SAS one; we look at every parameter. Text is long
and hostile at times: every pattern takes time in proportion to it.
"""

from __future__ import annotations

import re
from typing import Callable

REDACTED = "<redacted>"

# In documents "&" may be written %26 or \u0026, so a digit may stand before a parameter's name.
_BEFORE = r"(?<![A-Za-z_-])"
_EQUALS = r"(?:=|%(?:25)*3[dD])"
# Up to white space or a quotation mark, also one with backslashes before it as in nested JSON.
_PLAIN = r"[^\s\"'<>\\]*"
_REST = rf"{_PLAIN}(?:\\(?!\\{{0,15}}[\"'nrt]){_PLAIN})*"

_URL = re.compile(rf"(?i)\bhttps?(?::|%(?:25)*3a){_REST}")
_SAS_KEY = re.compile(
    rf"(?i){_BEFORE}(?:sv|st|se|sr|sp|sip|spr|sig|skoid|sktid|skt|ske|sks|skv){_EQUALS}"
)
# A lone signature outside of a URL, as in a copied query string.
_SIGNATURE = re.compile(
    rf"(?i)({_BEFORE}sig{_EQUALS})(?!<redacted>|\*\*\*REDACTED\*\*\*)[^\s&\"'<>\\]+"
)
_PASSWORD = re.compile(
    r"(?i)(<(?:\w{1,64}:)?(?:User)?Password\b[^<>]*(?<!/)>)(?:<!\[CDATA\[.*?(?:\]\]>|\Z)|[^<])+",
    re.DOTALL,
)
# The quotes may have backslashes before them: JSON within JSON, and that within JSON again.
_MEMBER = re.compile(
    r"""(?i)(?<!\\)(\\{0,15})(["'])(?:protectedSettings|(?:user|admin)?password)\1\2\s*:\s*\1\2"""
)
_QUOTE = re.compile(r"""(\\*)(["'])""")
_HASH = re.compile(r"\$(?:1|2[abxy]|5|6|7|y|gy|md5|sha1)\$[^\s:'\"<>]{8,}")  # crypt(5)
_KEY = re.compile(
    r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redact(text: str) -> str:
    """The text without SAS queries, passwords, protected settings and private keys."""
    lowered = text.lower()
    for word, take_out in _SECRETS:
        if word in lowered:
            text = take_out(text)
    return text


def without_query(url: str) -> str:
    """The URL up to its query and without a user, for messages that name where a request went."""
    place = url.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = place.partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


def _without_sas(match: re.Match[str]) -> str:
    url = match.group()
    place, mark, query = _split(url)
    return f"{place}{mark}{REDACTED}" if _SAS_KEY.search(query) else url


def _split(url: str) -> tuple[str, str, str]:
    mark = re.search(r"(?i)\?|%(?:25)*3f", url)
    if mark is None:
        return url, "", ""
    return url[: mark.start()], mark.group(), url[mark.end() :]


def _without_members(text: str) -> str:
    kept: list[str] = []
    done = 0
    while True:
        opening = _MEMBER.search(text, done)
        if opening is None:
            return "".join([*kept, text[done:]])
        kept += [text[done : opening.end()], REDACTED]
        done = _end_of_value(text, opening)


def _end_of_value(text: str, opening: re.Match[str]) -> int:
    """Where the quote stands that closes the value; the end of a text that is cut off before."""
    depth = len(opening[1])
    for quote in _QUOTE.finditer(text, opening.end()):
        # On each level a backslash becomes two, and a quote gets one before it.
        if quote[2] == opening[2] and len(quote[1]) % (2 * depth + 2) == depth:
            return quote.end() - depth - 1
    return len(text)


_SECRETS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("http", lambda text: _URL.sub(_without_sas, text)),
    ("sig", lambda text: _SIGNATURE.sub(rf"\1{REDACTED}", text)),
    ("password", lambda text: _PASSWORD.sub(rf"\1{REDACTED}", text)),
    ("password", _without_members),
    ("protectedsettings", _without_members),
    ("$", lambda text: _HASH.sub(REDACTED, text)),
    ("private key", lambda text: _KEY.sub(rf"\1{REDACTED}\2", text)),
)
