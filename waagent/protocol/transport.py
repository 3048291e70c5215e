"""The transport certificate: what the fabric encrypts for (spec WIRE 5.1), and its public forms.

Where it is kept, and when it is made anew, is ``transport_keys.py``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from waagent.core.errors import CryptoError

COMMON_NAME = "LinuxTransport"
KEY_BITS = 2048
VALID_DAYS = 730


def make_transport_key() -> rsa.RSAPrivateKey:
    """A new private key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def make_transport_certificate(
    now: datetime, key: Optional[rsa.RSAPrivateKey] = None
) -> tuple[bytes, bytes]:
    """A private key (PKCS#8 PEM, unencrypted), new unless given, and its certificate (PEM).

    The subject key identifier must be there: the fabric addresses its answer to it.
    """
    key = key or make_transport_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(key_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def certificate_public_ssh_key(certificate_pem: bytes) -> str:
    """The certificate's public key as a line of authorized_keys, without comment (DAEMON 5.5)."""
    try:
        public = x509.load_pem_x509_certificate(certificate_pem).public_key()
        line = public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CryptoError(
            "cannot make an SSH key of the certificate: it is no PEM certificate of such a key"
        ) from None
    return line.decode("ascii")


def public_key_pem(private_key_pem: bytes) -> bytes:
    """The public half of a private key, as PEM."""
    try:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CryptoError("cannot read the private key: it is not unencrypted PEM") from None
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
