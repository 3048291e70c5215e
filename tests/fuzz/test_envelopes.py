"""Sealed things: whatever arrives, the answer is its type or ``CryptoError``, and comes soon."""

from __future__ import annotations

import base64
import datetime
import functools
import os
import time
from collections.abc import Callable

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings

from tests.fabric.certificates import AES, OAEP, envelope
from tests.fuzz.mutations import mutants
from tests.support.pfx_files import Lock, certificate, key_der, pfx_file, rsa_key
from waagent.core.errors import CryptoError
from waagent.protocol.bundle import Bundle
from waagent.protocol.envelope import open_certificates, open_envelope, open_password
from waagent.protocol.pfx import open_pfx
from waagent.protocol.transport import make_transport_certificate

ASKED = os.environ.get("FUZZ_EXAMPLES")
PROFILE = settings(
    max_examples=int(ASKED or "60"),
    deadline=None,
    database=None,
    derandomize=ASKED is None,
    suppress_health_check=list(HealthCheck),
)
NOW = datetime.datetime(2025, 1, 31, tzinfo=datetime.timezone.utc)
LONGEST_S = 20.0  # a million hashes on a slow machine


@pytest.fixture(scope="module")
def files() -> tuple[bytes, ...]:
    """PFX files of each kind."""
    key = rsa_key()
    ders, keys = [certificate(key, "a"), certificate(rsa_key(), "b")], [key_der(key)]
    locks = (Lock(), Lock(password=b""), Lock(scheme="pbes2"))
    return tuple(pfx_file(ders, keys, lock) for lock in locks)


def outcome(act: Callable[[], object]) -> object:
    """What it returns, or the text of its ``CryptoError``; anything else fails the test."""
    try:
        return act()
    except CryptoError as error:
        return str(error)


def is_short(found: object) -> bool:
    """Whether an error, if it is one, can go into a log."""
    return not isinstance(found, str) or (len(found) < 1000 and "\n" not in found)


def test_pfx_reader_survives_mutants(files: tuple[bytes, ...]) -> None:
    """And none costs more than its share of time."""

    @PROFILE
    @given(mutants(files))
    def survives(data: bytes) -> None:
        started = time.monotonic()
        found = outcome(lambda: open_pfx(data))
        assert isinstance(found, (Bundle, str))
        assert is_short(found)
        assert time.monotonic() - started < LONGEST_S

    survives()


def test_envelope_reader_survives_mutants(files: tuple[bytes, ...]) -> None:
    """Of both kinds of key transport."""
    private, pem = make_transport_certificate(NOW)
    ours = x509.load_pem_x509_certificate(pem)
    seeds = (
        envelope(files[0], ours),
        envelope(files[0], ours, AES, transport=OAEP),
        envelope(files[0], ours, by_key_id=False),
    )

    @PROFILE
    @given(mutants(seeds))
    def survives(data: bytes) -> None:
        found = outcome(lambda: open_envelope(data, private))
        assert isinstance(found, (bytes, str))
        assert is_short(found)
        assert is_short(outcome(lambda: open_certificates(data, private)))

    survives()


def test_password_reader_survives_mutants() -> None:
    """Before and after base64."""
    private, pem = make_transport_certificate(NOW)
    sealed = envelope("pw".encode("utf-16-le"), x509.load_pem_x509_certificate(pem))

    @PROFILE
    @given(mutants((base64.b64encode(sealed),)))
    def survives(data: bytes) -> None:
        for text in (data.decode("latin-1"), base64.b64encode(data).decode()):
            assert isinstance(outcome(functools.partial(open_password, text, private)), str)

    survives()
