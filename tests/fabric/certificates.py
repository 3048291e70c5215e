"""Keys and certificates made for the machine, and what Azure wraps them in: PFX and CMS.

Built from the ASN.1 up, since no library writes a PFX with several keys, an empty password and
3DES bags, or an envelope addressed to a subject key identifier.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Any, Optional

from asn1crypto import algos, cms, core, keys, pkcs12
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before cryptography 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

AES, DES = "AES128_CBC", "DES_EDE3_CBC"
PKCS1, OAEP = "rsaes_pkcs1v15", "rsaes_oaep"
# As observed (WIRE 5.4): a DES request is answered with PKCS#1 v1.5, an AES request with OAEP.
OBSERVED_TRANSPORT = ((AES, OAEP), (DES, PKCS1))
EMPTY_PASSWORD = b"\0\0"  # a BMPString of no characters, with its terminator
ROUNDS = 2000
_SHA1 = hashes.SHA1()  # noqa: S303  what OAEP means when it names no hash


@dataclass(frozen=True)
class StoredCertificate:
    """A certificate of the machine, with its private key if Azure hands that out too."""

    friendly_name: str
    certificate: x509.Certificate
    key: Optional[rsa.RSAPrivateKey] = None

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def thumbprint(self) -> str:
        """The upper-case SHA-1 by which Azure names the certificate."""
        return hashlib.sha1(self.der).hexdigest().upper()


def issue(friendly_name: str, subject: str, *, with_key: bool = True) -> StoredCertificate:
    """A new self-signed certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, subject)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=730))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return StoredCertificate(friendly_name, certificate, key if with_key else None)


def tenant_certificate() -> StoredCertificate:
    """The certificate for which protected settings are sealed."""
    return issue("TenantEncryptionCert", "Windows Azure CRP Certificate Generator")


def issue_set() -> tuple[StoredCertificate, ...]:
    """What an ordinary machine gets: the tenant's certificate with key, and one without."""
    return (
        tenant_certificate(),
        issue("PlatformCert", "Fabric Platform Certificate", with_key=False),
    )


@functools.lru_cache(maxsize=1)
def first_set() -> tuple[StoredCertificate, ...]:
    """The set with which a machine starts, the same in one process: keys take time to make."""
    return issue_set()


def envelope(
    content: bytes,
    recipient: x509.Certificate,
    cipher: str = DES,
    *,
    transport: str = PKCS1,
    by_key_id: bool = True,
) -> bytes:
    """CMS EnvelopedData for one recipient, as DER."""
    session_key = os.urandom(16 if cipher == AES else 24)
    algorithm, sealed = _seal(content, session_key, cipher)
    info = cms.EnvelopedData(
        {
            "version": "v2" if by_key_id else "v0",
            "recipient_infos": [_recipient_info(session_key, recipient, transport, by_key_id)],
            "encrypted_content_info": {
                "content_type": "data",
                "content_encryption_algorithm": algorithm,
                "encrypted_content": sealed,
            },
        }
    )
    outer = cms.ContentInfo({"content_type": "enveloped_data", "content": info})
    return bytes(outer.dump())


def _seal(content: bytes, key: bytes, cipher: str) -> tuple[dict[str, Any], bytes]:
    if cipher == AES:
        iv = os.urandom(16)
        body = _encrypt(algorithms.AES(key), iv, content)
        return {"algorithm": "aes128_cbc", "parameters": core.OctetString(iv)}, body
    iv = os.urandom(8)
    body = _encrypt(TripleDES(key), iv, content)
    return {"algorithm": "tripledes_3key", "parameters": core.OctetString(iv)}, body


def _encrypt(algorithm: Any, iv: bytes, content: bytes) -> bytes:
    size = len(iv)
    fill = size - len(content) % size
    encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
    sealed: bytes = encryptor.update(content + bytes([fill]) * fill) + encryptor.finalize()
    return sealed


def _recipient_info(
    session_key: bytes, recipient: x509.Certificate, transport: str, by_key_id: bool
) -> Any:
    public_key = recipient.public_key()
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise ValueError("cannot envelope for a key that is not RSA")
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    algorithm: dict[str, Any] = {"algorithm": "rsaes_pkcs1v15", "parameters": core.Null()}
    if transport == OAEP:
        scheme = padding.OAEP(padding.MGF1(_SHA1), _SHA1, None)
        algorithm = {
            "algorithm": "rsaes_oaep",
            "parameters": algos.RSAESOAEPParams.load(b"\x30\x00"),
        }
    ktri = cms.KeyTransRecipientInfo(
        {
            "version": "v2" if by_key_id else "v0",
            "rid": _recipient_id(recipient, by_key_id),
            "key_encryption_algorithm": algorithm,
            "encrypted_key": public_key.encrypt(session_key, scheme),
        }
    )
    return cms.RecipientInfo("ktri", ktri)


def _recipient_id(recipient: x509.Certificate, by_key_id: bool) -> Any:
    if by_key_id:
        extension = recipient.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return cms.RecipientIdentifier("subject_key_identifier", extension.value.digest)
    parsed = cms.Certificate.load(recipient.public_bytes(serialization.Encoding.DER))
    serial = cms.IssuerAndSerialNumber(
        {"issuer": parsed.issuer, "serial_number": parsed.serial_number}
    )
    return cms.RecipientIdentifier("issuer_and_serial_number", serial)


def pfx(certificates: tuple[StoredCertificate, ...]) -> bytes:
    """A PKCS#12 file with an empty password, holding every certificate and key."""
    key_bags, certificate_bags = [], []
    for number, item in enumerate(certificates, start=1):
        local_id = number.to_bytes(4, "little")
        if item.key is not None:
            key_bags.append(_key_bag(item, local_id))
        certificate_bags.append(_certificate_bag(item, local_id))
    safes = [_data(pkcs12.SafeContents(key_bags).dump())] if key_bags else []
    safes.append(_encrypted_data(pkcs12.SafeContents(certificate_bags).dump()))
    contents = pkcs12.AuthenticatedSafe(safes).dump()
    salt = os.urandom(20)
    mac = hmac.new(_derive(salt, 3, 20), contents, hashlib.sha1).digest()
    whole = pkcs12.Pfx(
        {
            "version": "v3",
            "auth_safe": _data(contents),
            "mac_data": {
                "mac": {"digest_algorithm": {"algorithm": "sha1"}, "digest": mac},
                "mac_salt": salt,
                "iterations": ROUNDS,
            },
        }
    )
    return bytes(whole.dump())


def _data(content: bytes) -> Any:
    return cms.ContentInfo({"content_type": "data", "content": core.OctetString(content)})


def _pbe(content: bytes) -> tuple[dict[str, Any], bytes]:
    salt = os.urandom(8)
    sealed = _encrypt(TripleDES(_derive(salt, 1, 24)), _derive(salt, 2, 8), content)
    parameters = {"salt": salt, "iterations": ROUNDS}
    return {"algorithm": "pkcs12_sha1_tripledes_3key", "parameters": parameters}, sealed


def _encrypted_data(content: bytes) -> Any:
    algorithm, sealed = _pbe(content)
    return cms.ContentInfo(
        {
            "content_type": "encrypted_data",
            "content": {
                "version": "v0",
                "encrypted_content_info": {
                    "content_type": "data",
                    "content_encryption_algorithm": algorithm,
                    "encrypted_content": sealed,
                },
            },
        }
    )


def _attributes(item: StoredCertificate, local_id: bytes) -> list[dict[str, Any]]:
    return [
        {"type": "local_key_id", "values": [local_id]},
        {"type": "friendly_name", "values": [item.friendly_name]},
    ]


def _key_bag(item: StoredCertificate, local_id: bytes) -> dict[str, Any]:
    if item.key is None:
        raise ValueError("cannot bag a key that is absent")
    plain = item.key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    algorithm, sealed = _pbe(plain)
    value = keys.EncryptedPrivateKeyInfo(
        {"encryption_algorithm": algorithm, "encrypted_data": sealed}
    )
    return {
        "bag_id": "pkcs8_shrouded_key_bag",
        "bag_value": value,
        "bag_attributes": _attributes(item, local_id),
    }


def _certificate_bag(item: StoredCertificate, local_id: bytes) -> dict[str, Any]:
    value = pkcs12.CertBag({"cert_id": "x509", "cert_value": core.ParsableOctetString(item.der)})
    return {
        "bag_id": "cert_bag",
        "bag_value": value,
        "bag_attributes": _attributes(item, local_id),
    }


def _derive(salt: bytes, purpose: int, length: int) -> bytes:
    """The PKCS#12 key derivation of RFC 7292, appendix B.2, with SHA-1."""
    block = 64
    diversifier = bytes([purpose]) * block
    stretched = bytearray(_fill(salt, block) + _fill(EMPTY_PASSWORD, block))
    derived = b""
    while len(derived) < length:
        digest = hashlib.sha1(diversifier + stretched).digest()
        for _ in range(ROUNDS - 1):
            digest = hashlib.sha1(digest).digest()
        derived += digest
        addend = int.from_bytes(_fill(digest, block), "big") + 1
        for start in range(0, len(stretched), block):
            piece = int.from_bytes(stretched[start : start + block], "big") + addend
            stretched[start : start + block] = (piece % (1 << 8 * block)).to_bytes(block, "big")
    return derived[:length]


def _fill(text: bytes, block: int) -> bytes:
    size = block * ((len(text) + block - 1) // block)
    return (text * (size // len(text) + 1))[:size]
