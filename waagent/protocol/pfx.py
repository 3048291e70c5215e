"""PKCS#12 with an empty password: certificates, keys, and which belongs to which (WIRE 5.4, 5.5).

Several keys in one file, keys without certificates and certificates without keys all occur. The
MAC is not looked at: hardened builds refuse its SHA-1, and the envelope around came from the host.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from asn1crypto import core, keys, pkcs12, x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from waagent.core.errors import CryptoError
from waagent.core.records import dataclass, field
from waagent.protocol.bundle import Bundle, CertificateAndKey
from waagent.protocol.ciphers import (
    ASN1_ERRORS,
    PKCS12_COST,
    Budget,
    decrypt_cbc,
    pkcs12_key,
)

MAX_BAGS = 256
MAX_NESTING = 4
MAX_SALT = 1024
MAX_KEY_BYTES = 8192  # RSA of 8192 bits has 4.7 KB; checking larger ones takes minutes

LEAST_KEY_BITS = 1024

# "Empty" is written in two ways: two zero bytes, or nothing at all.
_EMPTY_PASSWORDS = (b"\x00\x00", b"")

# name in asn1crypto: size of the 3DES key
_TRIPLE_DES_PBE = {"pkcs12_sha1_tripledes_3key": 24, "pkcs12_sha1_tripledes_2key": 16}


@dataclass
class _Contents:
    """What has been collected so far."""

    certificates: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    bags: int = 0


def open_pfx(data: bytes) -> Bundle:
    """The certificates and keys of a PFX whose password is empty."""
    contents = _Contents()
    try:
        for part in _authenticated_safe(data):
            _read_part(part, contents)
        bundle = _match(contents)
    except ASN1_ERRORS:
        raise CryptoError("cannot open the PFX: it is not well-formed PKCS#12") from None
    if bundle.notes and not bundle.pairs:
        raise CryptoError(f"cannot open the PFX: {'; '.join(bundle.notes[:3])}")
    return bundle


def _authenticated_safe(data: bytes) -> Any:
    auth_safe = pkcs12.Pfx.load(data)["auth_safe"]
    if auth_safe["content_type"].native != "data":
        raise CryptoError("cannot open the PFX: it is protected by a public key, not a password")
    return pkcs12.AuthenticatedSafe.load(auth_safe["content"].native)


def _read_part(part: Any, contents: _Contents) -> None:
    kind = part["content_type"].native
    if kind == "data":
        safe = pkcs12.SafeContents.load(part["content"].native)
    elif kind == "encrypted_data":
        info = part["content"]["encrypted_content_info"]
        try:
            safe = _open(
                info["content_encryption_algorithm"],
                info["encrypted_content"].native,
                _SafeShape,
                contents.budget,
            )
        except CryptoError as error:
            contents.notes.append(f"a part cannot be decrypted: {error}")
            return
    else:
        contents.notes.append(f"a part of kind {kind} is not known")
        return
    for bag in _bags(safe, contents):
        _read_bag(bag, contents)


def _bags(safe: Any, contents: _Contents, depth: int = 0) -> Iterator[Any]:
    for bag in safe:
        contents.bags += 1
        if contents.bags > MAX_BAGS or depth > MAX_NESTING:
            raise CryptoError(f"cannot open the PFX: over {MAX_BAGS} bags or {MAX_NESTING} levels")
        if bag["bag_id"].native == "safe_contents":
            yield from _bags(bag["bag_value"], contents, depth + 1)
        else:
            yield bag


def _read_bag(bag: Any, contents: _Contents) -> None:
    kind = bag["bag_id"].native
    value = bag["bag_value"]
    if kind == "cert_bag":
        if value["cert_id"].native != "x509":
            contents.notes.append("a certificate is left out: it is not X.509")
            return
        contents.certificates.append(bytes(value["cert_value"]))
    elif kind == "key_bag":
        contents.keys.append(_sequence(value.contents))
    elif kind == "pkcs8_shrouded_key_bag":
        try:
            key = _open(
                value["encryption_algorithm"],
                value["encrypted_data"].native,
                _KeyShape,
                contents.budget,
            )
        except CryptoError as error:
            contents.notes.append(f"a private key is left out: {error}")
            return
        contents.keys.append(_sequence(key.contents))


class _KeyShape(core.SequenceOf):  # type: ignore[misc]
    """The outer form of a PKCS#8 key. asn1crypto's own refuses all of a key it does not know."""

    _child_spec = core.Any

    def is_whole(self) -> bool:
        """Whether it is a version, an algorithm and a key, whatever they are."""
        return len(self) >= 3 and self[0].parse(core.Integer).native in (0, 1)


class _SafeShape(pkcs12.SafeContents):  # type: ignore[misc]
    def is_whole(self) -> bool:
        """Whether it is a list of bags, of kinds that are known or not."""
        return all(bag["bag_id"].native for bag in self)


def _sequence(contents: bytes) -> bytes:
    """A SEQUENCE of these contents, as DER."""
    return b"\x30" + bytes(core.OctetString(contents).dump())[1:]


def _open(algorithm: Any, sealed: bytes, structure: Any, budget: Budget) -> Any:
    """Decrypt with each empty password; the right one gives the expected structure."""
    for plain in _attempts(algorithm, sealed, budget):
        try:
            opened = structure.load(plain, strict=True)
            if opened.is_whole():
                return opened
        except ASN1_ERRORS:  # with another password the padding can be right by chance
            continue
    raise CryptoError("it is not encrypted with an empty password")


def _attempts(algorithm: Any, sealed: bytes, budget: Budget) -> Iterator[bytes]:
    """What comes out under each way of writing the empty password, where anything does."""
    name = algorithm["algorithm"].native
    if name in _TRIPLE_DES_PBE:
        cipher = "tripledes"
        keys = _pbe_keys(algorithm, _TRIPLE_DES_PBE[name], budget)
    elif name == "pbes2" and algorithm.kdf == "pbkdf2":
        cipher = algorithm.encryption_cipher
        if algorithm.encryption_mode != "cbc" or cipher not in ("tripledes", "aes"):
            raise CryptoError(f"cipher {cipher} of PBES2 is not known")
        keys = iter([(_pbkdf2_key(algorithm, budget), algorithm.encryption_iv)])
    else:
        raise CryptoError(f"encryption {name} is not known")
    for key, iv in keys:
        try:
            yield decrypt_cbc(cipher, key, iv, sealed)
        except CryptoError:  # the padding came out wrong, as with another password
            continue


def _pbe_keys(algorithm: Any, size: int, budget: Budget) -> Iterator[tuple[bytes, bytes]]:
    salt, iterations = _salt(algorithm), algorithm.kdf_iterations
    for password in _EMPTY_PASSWORDS:
        budget.spend(iterations, each=PKCS12_COST)
        yield (
            pkcs12_key(password, salt, iterations, purpose=1, size=size),
            pkcs12_key(password, salt, iterations, purpose=2, size=8),
        )


def _pbkdf2_key(algorithm: Any, budget: Budget) -> bytes:
    """PBES2 takes the password as bytes, and so the empty one in one way only."""
    budget.spend(algorithm.kdf_iterations)
    size = algorithm.key_length
    if not 0 < size <= 32:
        raise CryptoError(f"a key of {size} bytes is not known")
    return hashlib.pbkdf2_hmac(
        algorithm.kdf_hmac, b"", _salt(algorithm), algorithm.kdf_iterations, size
    )


def _salt(algorithm: Any) -> bytes:
    salt = algorithm.kdf_salt
    if not isinstance(salt, bytes) or len(salt) > MAX_SALT:
        raise CryptoError(f"its salt is over {MAX_SALT} bytes")
    return salt


def _match(contents: _Contents) -> Bundle:
    """Give each certificate the key with its public key (WIRE 5.5)."""
    notes = contents.notes
    known: dict[bytes, bytes] = {}
    for der in contents.keys:
        read = _read_key(der)
        if read is None:
            notes.append("a private key is left out: its kind or size is not known")
        else:
            known[read[0]] = read[1]
    pairs: dict[str, CertificateAndKey] = {}
    used: set[bytes] = set()
    for der in contents.certificates:
        thumbprint = hashlib.sha1(der).hexdigest().upper()
        public = _public_key_of(der)
        if public in known:
            used.add(public)
        key = known.get(public)
        pairs[thumbprint] = CertificateAndKey(thumbprint, _pem("CERTIFICATE", der), key)
    unused = len(known) - len(used)
    if unused:
        notes.append(f"{unused} private key(s) left out: no certificate has their public key")
    return Bundle(tuple(pairs.values()), tuple(notes))


def _read_key(der: bytes) -> Optional[tuple[bytes, bytes]]:
    """The key's public part (DER) and the key as PEM; ``None`` for a kind or size not known."""
    if len(der) > MAX_KEY_BYTES:
        return None
    return _read_rsa_key(der) or _read_any_key(der)


def _read_rsa_key(der: bytes) -> Optional[tuple[bytes, bytes]]:
    """The same of an RSA key whose numbers fit together; ``None`` is for the library to decide.

    It would also prove the primes, which takes a slow machine a second and tells us nothing.
    """
    try:
        info = keys.PrivateKeyInfo.load(der, strict=True)
        if info["private_key_algorithm"]["algorithm"].native != "rsa":
            return None
        key = info["private_key"].parsed
        if not _is_consistent(key.native):
            return None
        public = keys.RSAPublicKey(
            {name: key[name].native for name in ("modulus", "public_exponent")}
        )
        return (
            keys.PublicKeyInfo.wrap(public, "rsa").dump(),
            _pem("PRIVATE KEY", keys.PrivateKeyInfo.wrap(key, "rsa").dump(force=True)),
        )
    except ASN1_ERRORS:
        return None


def _is_consistent(key: Mapping[str, Any]) -> bool:
    """Whether an RSA key of two primes holds what RFC 8017 (3.2) says, but for their primality."""
    p, q, d, e = (key[name] for name in ("prime1", "prime2", "private_exponent", "public_exponent"))
    return bool(
        key["version"] == "two-prime"
        and min(p, q, d, e) > 1
        and key["modulus"] == p * q
        and key["modulus"].bit_length() >= LEAST_KEY_BITS
        and (d * e - 1) % (p - 1) == (d * e - 1) % (q - 1) == 0
        and (key["exponent1"], key["exponent2"]) == (d % (p - 1), d % (q - 1))
        and key["coefficient"] * q % p == 1
    )


def _read_any_key(der: bytes) -> Optional[tuple[bytes, bytes]]:
    try:
        key = serialization.load_der_private_key(der, password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return public, pem


def _public_key_of(certificate: bytes) -> bytes:
    """The certificate's public key in the form of ``_read_key``, so that the two compare."""
    raw: bytes = x509.Certificate.load(certificate).public_key.dump()
    try:
        key = serialization.load_der_public_key(raw)
        return key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return raw


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
