"""The transport certificate, judged by openssl and by what the fabric needs of it."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path

import pytest

from tests.support.pfx_files import certificate, ec_key, pfx_file
from waagent.core.errors import CryptoError
from waagent.protocol.pfx import open_pfx
from waagent.protocol.transport import (
    certificate_public_ssh_key,
    make_transport_certificate,
    public_key_pem,
)

NOW = datetime.datetime(2025, 1, 31, 10, 0, tzinfo=datetime.timezone.utc)


def openssl(folder: Path, *words: str) -> str:
    """What openssl says."""
    done = subprocess.run(
        ["openssl", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_transport_certificate_is_what_openssl_req_would_make(tmp_path: Path) -> None:
    """WIRE 5.1: names, dates, key, and above all the subject key identifier."""
    private, pem = make_transport_certificate(NOW)
    (tmp_path / "cert.pem").write_bytes(pem)
    text = openssl(tmp_path, "x509", "-in", "cert.pem", "-noout", "-text")
    for word in (
        "Subject: CN = LinuxTransport",
        "Issuer: CN = LinuxTransport",
        "Not Before: Jan 31 10:00:00 2025 GMT",
        "Not After : Jan 31 10:00:00 2027 GMT",
        "Public-Key: (2048 bit)",
        "sha256WithRSAEncryption",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "CA:TRUE",
    ):
        assert word.replace(" = ", "=") in text.replace(" = ", "=")
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_transport_key_belongs_to_its_certificate(tmp_path: Path) -> None:
    """Else nothing sent to it could be opened."""
    private, pem = make_transport_certificate(NOW)
    (tmp_path / "cert.pem").write_bytes(pem)
    public = openssl(tmp_path, "x509", "-in", "cert.pem", "-noout", "-pubkey")
    assert public_key_pem(private).decode() == public


def test_ssh_key_of_a_certificate_is_its_modulus_in_ssh_form(tmp_path: Path) -> None:
    """DAEMON 5.5: the name, the exponent, the modulus with a zero byte in front."""
    _, pem = make_transport_certificate(NOW)
    (tmp_path / "cert.pem").write_bytes(pem)
    modulus = openssl(tmp_path, "x509", "-in", "cert.pem", "-noout", "-modulus")
    kind, body = certificate_public_ssh_key(pem).split(" ")
    number = b"\0" + bytes.fromhex(modulus.strip().partition("=")[2])
    parts = (b"ssh-rsa", b"\x01\x00\x01", number)
    assert kind == "ssh-rsa"
    assert base64.b64decode(body) == b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def test_ssh_key_of_an_ec_certificate_says_its_curve() -> None:
    """Key vault certificates may be of that kind."""
    bundle = open_pfx(pfx_file([certificate(ec_key(), "vault")], []))
    line = certificate_public_ssh_key(bundle.pairs[0].certificate_pem)
    assert line.startswith("ecdsa-sha2-nistp256 AAAA")


def test_ssh_key_of_something_else_is_a_crypto_error() -> None:
    """With the reason."""
    with pytest.raises(CryptoError, match="cannot make an SSH key"):
        certificate_public_ssh_key(b"no certificate")


def test_public_key_of_something_else_is_a_crypto_error() -> None:
    """With the reason."""
    with pytest.raises(CryptoError, match="private key"):
        public_key_pem(b"no key")
