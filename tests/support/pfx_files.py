"""PKCS#12 files as tests need them: any bags, either form of the empty password, PBE or PBES2.

Built from the ASN.1 up and from RFC 7292, not from the agent's reader.
"""

from __future__ import annotations

import datetime
import hashlib
import os
from dataclasses import dataclass
from typing import Any, Optional, Union

from asn1crypto import algos, cms, core, keys, pkcs12
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before cryptography 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

BMP_EMPTY = b"\0\0"
PrivateKey = Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]


@dataclass(frozen=True)
class Lock:
    """How bags are encrypted."""

    password: bytes = BMP_EMPTY
    scheme: str = "pbe"  # or "pbes2"
    iterations: int = 2


def rsa_key() -> rsa.RSAPrivateKey:
    """A new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: PrivateKey, name: str) -> bytes:
    """A self-signed certificate of the key, as DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2024, 1, 1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def key_der(key: PrivateKey) -> bytes:
    """The key as PKCS#8 DER."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def thumbprint(der: bytes) -> str:
    """How Azure names a certificate."""
    return hashlib.sha1(der).hexdigest().upper()


def pfx_file(
    certificates: list[bytes], private_keys: list[bytes], lock: Optional[Lock] = None
) -> bytes:
    """A PFX without MAC: shrouded key bags in the clear part, certificates in the locked one."""
    lock = lock or Lock()
    key_bags = [_shrouded_bag(der, lock) for der in private_keys]
    parts = [
        _data(pkcs12.SafeContents(key_bags).dump()),
        _locked_part(pkcs12.SafeContents([certificate_bag(c) for c in certificates]).dump(), lock),
    ]
    return pfx_of(parts)


def pfx_of(parts: list[Any]) -> bytes:
    """A PFX of ready-made parts."""
    safe = pkcs12.AuthenticatedSafe(parts).dump()
    return bytes(pkcs12.Pfx({"version": "v3", "auth_safe": _data(safe)}).dump())


def clear_part(bags: list[dict[str, Any]]) -> Any:
    """A part that is not encrypted."""
    return _data(pkcs12.SafeContents(bags).dump())


def certificate_bag(der: bytes) -> dict[str, Any]:
    """One certificate."""
    value = pkcs12.CertBag({"cert_id": "x509", "cert_value": core.ParsableOctetString(der)})
    return {"bag_id": "cert_bag", "bag_value": value}


def clear_key_bag(der: bytes) -> dict[str, Any]:
    """One key that is not encrypted by itself."""
    return {"bag_id": "key_bag", "bag_value": keys.PrivateKeyInfo.load(der)}


def _shrouded_bag(der: bytes, lock: Lock) -> dict[str, Any]:
    algorithm, sealed = _seal(der, lock)
    value = keys.EncryptedPrivateKeyInfo(
        {"encryption_algorithm": algorithm, "encrypted_data": sealed}
    )
    return {"bag_id": "pkcs8_shrouded_key_bag", "bag_value": value}


def _data(content: bytes) -> Any:
    return cms.ContentInfo({"content_type": "data", "content": core.OctetString(content)})


def _locked_part(content: bytes, lock: Lock) -> Any:
    algorithm, sealed = _seal(content, lock)
    info = {
        "content_type": "data",
        "content_encryption_algorithm": algorithm,
        "encrypted_content": sealed,
    }
    return cms.ContentInfo(
        {
            "content_type": "encrypted_data",
            "content": {"version": "v0", "encrypted_content_info": info},
        }
    )


def _seal(content: bytes, lock: Lock) -> tuple[dict[str, Any], bytes]:
    salt = os.urandom(8)
    if lock.scheme == "pbe":
        key = _derive(lock, salt, 1, 24)
        body = _encrypt(TripleDES(key), _derive(lock, salt, 2, 8), content)
        parameters: Any = {"salt": salt, "iterations": lock.iterations}
        return {"algorithm": "pkcs12_sha1_tripledes_3key", "parameters": parameters}, body
    iv = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha256", b"", salt, lock.iterations, 32)
    kdf = {
        "algorithm": "pbkdf2",
        "parameters": {
            "salt": algos.Pbkdf2Salt("specified", salt),
            "iteration_count": lock.iterations,
            "prf": {"algorithm": "sha256", "parameters": core.Null()},
        },
    }
    scheme = {"algorithm": "aes256_cbc", "parameters": core.OctetString(iv)}
    parameters = {"key_derivation_func": kdf, "encryption_scheme": scheme}
    return {"algorithm": "pbes2", "parameters": parameters}, _encrypt(
        algorithms.AES(key), iv, content
    )


def _encrypt(algorithm: Any, iv: bytes, content: bytes) -> bytes:
    padder = padding.PKCS7(algorithm.block_size).padder()
    encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def _derive(lock: Lock, salt: bytes, purpose: int, size: int) -> bytes:
    """RFC 7292, appendix B.2, with SHA-1, for a password of at most one block."""
    stretched = [_repeated(salt)] + ([_repeated(lock.password)] if lock.password else [])
    derived = b""
    while len(derived) < size:
        digest = bytes([purpose]) * 64 + b"".join(stretched)
        for _ in range(lock.iterations):
            digest = hashlib.sha1(digest).digest()
        derived += digest
        addend = int.from_bytes(_repeated(digest), "big") + 1
        blocks = [(int.from_bytes(block, "big") + addend) % (1 << 512) for block in stretched]
        stretched = [block.to_bytes(64, "big") for block in blocks]
    return derived[:size]


def _repeated(text: bytes) -> bytes:
    return (text * 64)[:64]
