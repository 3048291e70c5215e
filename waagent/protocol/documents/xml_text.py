"""Text that may stand in an XML document, whatever it came from (XML 1.0, production 2)."""

from __future__ import annotations

import re

# Control characters, halves of surrogate pairs and the two non-characters are not XML at all:
# one of them would make the fabric refuse the whole document.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"


def xml_text(text: str) -> str:
    """The text with every character that XML does not allow replaced; not escaped yet."""
    return _FORBIDDEN.sub(REPLACEMENT, text)
