"""Certificates and keys on their way through a pipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.errors import CryptoError
from waagent.protocol.bundle import (
    Bundle,
    CertificateAndKey,
    parse_bundle,
    render_bundle,
    render_failure,
)

PEM = st.text(st.characters(max_codepoint=127)).map(lambda text: text.encode("ascii"))
PAIRS = st.builds(CertificateAndKey, st.text(), PEM, st.none() | PEM)
BUNDLES = st.builds(Bundle, st.lists(PAIRS).map(tuple), st.lists(st.text()).map(tuple))


@given(BUNDLES)
def test_bundle_comes_out_of_the_pipe_as_it_went_in(bundle: Bundle) -> None:
    assert parse_bundle(render_bundle(bundle).decode("ascii")) == bundle


@given(st.text())
def test_failure_comes_out_with_its_words(message: str) -> None:
    with pytest.raises(CryptoError) as raised:
        parse_bundle(render_failure(message).decode("ascii"))
    assert raised.value.message == message


@given(st.text() | st.from_regex(r'\{"(pairs|notes|failure)":.*\}'))
def test_anything_else_is_a_crypto_error(text: str) -> None:
    with pytest.raises(CryptoError):
        parse_bundle(text)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", '{"pairs": []}', '{"pairs": [1], "notes": []}', '{"pairs": [{}]}'],
)
def test_document_that_is_not_whole_is_a_crypto_error(text: str) -> None:
    with pytest.raises(CryptoError, match="cannot read what came of opening"):
        parse_bundle(text)


def test_bundle_does_not_show_its_keys() -> None:
    shown = repr(Bundle((CertificateAndKey("AB", b"certificate text", b"key text"),)))
    assert "text" not in shown
