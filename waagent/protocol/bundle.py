"""Certificates and keys as they come out of the fabric's envelope, and their form in a pipe.

Light: whoever only writes them to files does not need what opened them.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Optional

from waagent.core.errors import CryptoError
from waagent.core.records import dataclass, field


@dataclass(frozen=True)
class CertificateAndKey:
    """One certificate, and its private key when the file has it (PEM, PKCS#8, unencrypted)."""

    thumbprint: str
    certificate_pem: bytes = field(repr=False)
    private_key_pem: Optional[bytes] = field(default=None, repr=False)

    @property
    def has_private_key(self) -> bool:
        """Whether there is a key."""
        return self.private_key_pem is not None


@dataclass(frozen=True)
class Bundle:
    """All certificates in file order; ``notes`` says what was left out and why."""

    pairs: tuple[CertificateAndKey, ...]
    notes: tuple[str, ...] = ()


Opener = Callable[[bytes], Bundle]
"""Opens the DER behind the certificates document; raises ``CryptoError``, or ``OSError`` when the
transport key cannot be read."""


def render_bundle(bundle: Bundle) -> bytes:
    """The bundle as JSON; it holds private keys."""
    pairs = [
        {
            "thumbprint": each.thumbprint,
            "certificate": each.certificate_pem.decode("ascii"),
            "key": None if each.private_key_pem is None else each.private_key_pem.decode("ascii"),
        }
        for each in bundle.pairs
    ]
    return json.dumps({"pairs": pairs, "notes": bundle.notes}).encode("ascii")


def render_failure(message: str) -> bytes:
    """Why there is no bundle."""
    return json.dumps({"failure": message}).encode("ascii")


def parse_bundle(text: str) -> Bundle:
    """What ``render_bundle`` wrote; ``CryptoError`` for a failure, or for anything else."""
    try:
        document: dict[str, Any] = json.loads(text)
        if "failure" in document:
            raise CryptoError(str(document["failure"]))
        return Bundle(
            tuple(_parse_pair(each) for each in document["pairs"]), tuple(document["notes"])
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        raise CryptoError("cannot read what came of opening the certificates") from None


def _parse_pair(member: dict[str, Any]) -> CertificateAndKey:
    key = member["key"]
    return CertificateAndKey(
        member["thumbprint"],
        member["certificate"].encode("ascii"),
        None if key is None else key.encode("ascii"),
    )
