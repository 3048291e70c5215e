"""The ciphers of CMS and PKCS#12: CBC with padding, and keys made from a password.

Bounded: how often a password is hashed is the sender's number, and it costs our time.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from waagent.core.errors import CryptoError

# What asn1crypto raises while a structure is read, which it does lazily: on any access.
ASN1_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)

MAX_COST = 4_000_000
"""For all password hashing of one file, in iterations of PBKDF2, about a microsecond each. The
fabric asks for 2,000 a bag, the tools of today for up to 600,000: some seconds at worst."""

PKCS12_COST = 4  # an iteration of PKCS#12's own derivation is made here, not in a library


class Budget:
    """How much hashing one file may still ask for: the number is the sender's, the time ours."""

    def __init__(self, cost: int = MAX_COST) -> None:
        self._left = cost

    def spend(self, iterations: int, *, each: int = 1) -> None:
        """Take these off, or ``CryptoError`` when they are not there."""
        if not 0 < iterations * each <= self._left:
            allowed = self._left // each
            raise CryptoError(f"it asks for {iterations} hash iterations, {allowed} are allowed")
        self._left -= iterations * each


def open_cbc(algorithm: Any, key: bytes, sealed: bytes) -> bytes:
    """Decrypt with an asn1crypto EncryptionAlgorithm of 3DES or AES in CBC mode."""
    name = algorithm.encryption_cipher
    if algorithm.encryption_mode != "cbc" or name not in ("tripledes", "aes"):
        raise CryptoError(f"cipher {algorithm['algorithm'].native} is not known")
    if name == "aes" and len(key) != algorithm.key_length:
        raise CryptoError("the key does not fit the cipher")
    return decrypt_cbc(name, key, algorithm.encryption_iv, sealed)


def decrypt_cbc(name: str, key: bytes, iv: bytes, sealed: bytes) -> bytes:
    """Plain bytes, padding removed; ``CryptoError`` when key and data do not fit."""
    try:
        cipher = _triple_des(key) if name == "tripledes" else algorithms.AES(key)
        decryptor = Cipher(cipher, modes.CBC(iv)).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        unpadder = padding.PKCS7(cipher.block_size).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CryptoError("the content does not decrypt") from None


def pkcs12_key(password: bytes, salt: bytes, iterations: int, *, purpose: int, size: int) -> bytes:
    """The key derivation of PKCS#12 with SHA-1 (RFC 7292, appendix B.2).

    ``password`` is a BMPString with its terminator; ``purpose`` 1 is a key, 2 an IV.
    """
    block = 64
    diversifier = bytes([purpose]) * block
    seed = bytearray(_fill(salt, block) + _fill(password, block))
    derived = b""
    while len(derived) < size:
        digest = hashlib.sha1(diversifier + seed).digest()
        for _ in range(iterations - 1):
            digest = hashlib.sha1(digest).digest()
        derived += digest
        addend = int.from_bytes(_fill(digest, block), "big") + 1
        for start in range(0, len(seed), block):
            total = int.from_bytes(seed[start : start + block], "big") + addend
            seed[start : start + block] = (total % (1 << (8 * block))).to_bytes(block, "big")
    return derived[:size]


def _fill(value: bytes, block: int) -> bytes:
    """The value repeated to a whole number of blocks; an empty one stays empty."""
    size = block * ((len(value) + block - 1) // block)
    return (value * (size // len(value) + 1))[:size] if value else b""


def _triple_des(key: bytes) -> Any:
    """3DES from where this release of cryptography keeps it; the old place warns.

    A key for two keys is written out as three, which newer releases want to see.
    """
    whole = key + key[:8] if len(key) == 16 else key
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    except ImportError:
        return algorithms.TripleDES(whole)
    return TripleDES(whole)
