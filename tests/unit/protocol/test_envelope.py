"""CMS EnvelopedData: what the fabric seals, what openssl seals, and what is not for us."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path

import pytest
from asn1crypto import cms

from tests.fabric.certificates import AES, DES, OAEP, PKCS1, envelope, issue, issue_set, pfx
from tests.support.pfx_files import ec_key, key_der
from tests.support.samples import sample
from waagent.core.errors import CryptoError
from waagent.protocol.documents.certificates import parse_certificates
from waagent.protocol.envelope import (
    MAX_BYTES,
    MAX_RECIPIENTS,
    open_certificates,
    open_envelope,
    open_password,
)
from waagent.protocol.transport import make_transport_certificate

NOW = datetime.datetime(2025, 1, 31, 10, 0, tzinfo=datetime.timezone.utc)
SECRET = b"a secret of some length that does not fit one block"
CIPHERS = ("-des3", "-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc")


@pytest.fixture(scope="module")
def transport() -> tuple[bytes, bytes]:
    """A transport key and its certificate."""
    return make_transport_certificate(NOW)


def seal_with_openssl(folder: Path, certificate: bytes, plain: bytes, *options: str) -> bytes:
    """DER or BER from the reference's own tool."""
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "plain").write_bytes(plain)
    argv = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-in", "plain"]
    # "-keyopt" belongs to the recipient before it.
    whole = [*argv, "-recip", "cert.pem", *options]
    return subprocess.run(whole, cwd=folder, capture_output=True, check=True).stdout


def test_envelope_opens_the_captured_certificates() -> None:
    """3DES, subject key id, PKCS#1 v1.5, as an older fabric answered."""
    data = parse_certificates(sample("wire/certs.xml")).data
    assert data is not None
    bundle = open_certificates(data, sample("wire/trans_prv"))
    assert [(pair.thumbprint, pair.has_private_key) for pair in bundle.pairs] == [
        ("F6ABAA61098A301EBB8A571C3C7CF77F355F7FA9", True),
        ("8979F1AC8C4215827BF3B5A403E6137B504D02A4", False),
    ]
    assert bundle.notes == ()


def test_envelope_opens_the_captured_password() -> None:
    """The spec's test vector."""
    encoded = sample("wire/encrypted.enc").decode("ascii")
    assert open_password(encoded, sample("wire/sample.pem")) == "]aPPEv}uNg1FPnl?"


@pytest.mark.parametrize("cipher", [AES, DES])
@pytest.mark.parametrize("how", [PKCS1, OAEP])
@pytest.mark.parametrize("by_key_id", [True, False])
def test_envelope_of_the_fabric_opens_however_it_is_addressed(
    cipher: str, how: str, by_key_id: bool
) -> None:
    """By subject key id or by issuer and serial, old key transport or new."""
    ours = issue("transport", "LinuxTransport")
    machine = issue_set()
    sealed = envelope(pfx(machine), ours.certificate, cipher, transport=how, by_key_id=by_key_id)
    assert ours.key is not None
    bundle = open_certificates(sealed, _pem(key_der(ours.key)))
    found = [(pair.thumbprint, pair.has_private_key) for pair in bundle.pairs]
    assert found == [(item.thumbprint, item.key is not None) for item in machine]


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_envelope_made_by_openssl_opens_with_every_cipher(
    cipher: str, streamed: bool, transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Streamed ones are BER: indefinite lengths, and the content in chunks."""
    plain = SECRET * 500
    options = (cipher, "-keyid") + (("-stream",) if streamed else ())
    sealed = seal_with_openssl(tmp_path, transport[1], plain, *options)
    assert open_envelope(sealed, transport[0]) == plain


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
def test_envelope_with_oaep_opens_with_the_digest_it_names(
    digest: str, transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """The default is SHA-1; a newer fabric may choose another."""
    sealed = seal_with_openssl(
        tmp_path,
        transport[1],
        SECRET,
        "-aes-256-cbc",
        "-keyid",
        *("-keyopt", "rsa_padding_mode:oaep", "-keyopt", f"rsa_oaep_md:{digest}"),
    )
    assert b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07" in sealed  # id-RSAES-OAEP
    assert open_envelope(sealed, transport[0]) == SECRET


def test_envelope_for_several_recipients_opens_for_each(
    transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Whatever our place among them."""
    other_key, other = make_transport_certificate(NOW)
    (tmp_path / "other.pem").write_bytes(other)
    sealed = seal_with_openssl(tmp_path, transport[1], SECRET, "-aes128", "-recip", "other.pem")
    assert open_envelope(sealed, transport[0]) == SECRET
    assert open_envelope(sealed, other_key) == SECRET


def test_envelope_for_another_key_is_a_crypto_error(transport: tuple[bytes, bytes]) -> None:
    """As after the transport certificate was made anew."""
    other = issue("other", "Other")
    with pytest.raises(CryptoError, match="cannot open the envelope"):
        open_envelope(envelope(SECRET, other.certificate), transport[0])


def test_envelope_with_too_many_recipients_is_refused(transport: tuple[bytes, bytes]) -> None:
    """Each would cost an RSA operation."""
    other = issue("other", "Other")
    info = cms.ContentInfo.load(envelope(SECRET, other.certificate))
    recipients = info["content"]["recipient_infos"]
    for _ in range(MAX_RECIPIENTS):
        recipients.append(recipients[0].copy())
    with pytest.raises(CryptoError, match="recipients"):
        open_envelope(info.dump(force=True), transport[0])


def test_envelope_of_another_kind_is_refused(
    transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Plain CMS data is not encrypted, and so not from the fabric."""
    (tmp_path / "plain").write_bytes(SECRET)
    argv = ["openssl", "cms", "-data_create", "-binary", "-outform", "DER", "-in", "plain"]
    data = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=True).stdout
    with pytest.raises(CryptoError, match="EnvelopedData"):
        open_envelope(data, transport[0])


@pytest.mark.parametrize(
    "data", [b"", b"\x30\x03\x02\x01\x01", b"garbage", b"\0" * (MAX_BYTES + 1)]
)
def test_envelope_that_is_none_is_a_crypto_error(
    data: bytes, transport: tuple[bytes, bytes]
) -> None:
    """Never another error."""
    with pytest.raises(CryptoError, match="cannot open the envelope"):
        open_envelope(data, transport[0])


@pytest.mark.parametrize("pem", [b"", b"no key"])
def test_envelope_key_that_cannot_be_read_is_a_crypto_error(pem: bytes) -> None:
    """The file may be damaged."""
    with pytest.raises(CryptoError, match="private key"):
        open_envelope(b"x", pem)


def test_envelope_key_must_be_rsa() -> None:
    """The fabric encrypts for RSA only."""
    with pytest.raises(CryptoError, match="RSA"):
        open_envelope(b"x", _pem(key_der(ec_key())))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16"])
def test_password_is_utf16_with_or_without_a_mark(
    encoding: str, transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Little endian unless the mark says otherwise."""
    sealed = seal_with_openssl(tmp_path, transport[1], "Pässwörd€".encode(encoding), "-aes256")
    assert open_password(base64.encodebytes(sealed).decode(), transport[0]) == "Pässwörd€"


def test_password_big_endian_mark_is_honoured(
    transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """The mark wins over the default."""
    plain = b"\xfe\xff" + "pw".encode("utf-16-be")
    sealed = seal_with_openssl(tmp_path, transport[1], plain, "-aes256")
    assert open_password(base64.b64encode(sealed).decode(), transport[0]) == "pw"


def test_password_error_does_not_repeat_what_was_inside(
    transport: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Not in the text, and not in an error hanging on to it."""
    sealed = seal_with_openssl(tmp_path, transport[1], b"odd number of bytes", "-aes256")
    with pytest.raises(CryptoError) as caught:
        open_password(base64.b64encode(sealed).decode(), transport[0])
    assert "odd" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_password_that_is_no_base64_is_a_crypto_error(transport: tuple[bytes, bytes]) -> None:
    """The user is then not created."""
    with pytest.raises(CryptoError, match="base64"):
        open_password("!!!", transport[0])


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN PRIVATE KEY-----\n" + body + b"-----END PRIVATE KEY-----\n"
