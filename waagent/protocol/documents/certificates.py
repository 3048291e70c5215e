"""The certificates document: what is inside stays sealed here (spec WIRE 5.2).

``protocol/envelope.py`` opens it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Optional

from waagent.core import xml
from waagent.core.records import dataclass, field

PFX_IN_CMS = "Pkcs7BlobWithPfxContents"


@dataclass(frozen=True)
class CertificateFile:
    """An answer to ``comp=certificates``.

    ``text`` is the Data element as sent, ``None`` when there are no certificates. ``data`` is the
    DER behind it, ``None`` also when the format is one that is not known.
    """

    format: Optional[str]
    text: Optional[str] = field(repr=False)
    data: Optional[bytes] = field(repr=False)

    @property
    def is_known_format(self) -> bool:
        """An absent or empty format is the usual one."""
        return self.format in (None, PFX_IN_CMS)


def parse_certificates(data: bytes) -> CertificateFile:
    """The certificates document."""
    document = xml.parse(data, "the certificates document", "CertificateFile")
    kind = document.maybe_text("Format")
    text = document.maybe_text("Data")
    sealed = CertificateFile(kind, text, None)
    if text is None or not sealed.is_known_format:
        return sealed
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise document.error(f'"Data" is not base64 ({error})') from None
    return CertificateFile(kind, text, der)
