"""Password hashes of crypt(3), methods 5 (SHA-256) and 6 (SHA-512): pure.

The algorithm is Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512", with its step numbers.
It is here because Python has lost its crypt module and a guest may have no other.
"""

from __future__ import annotations

import hashlib
from typing import Callable

ROUNDS = 5000
LONGEST_SALT = 16
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Digest = Callable[[bytes], bytes]


def sha512_crypt(password: bytes, salt: str, *, rounds: int = ROUNDS) -> str:
    """The ``$6$`` hash of a password."""
    digest = _computed(lambda data: hashlib.sha512(data).digest(), 64, password, salt, rounds)
    triples = [(i, i + 21, i + 42) for i in range(21)]
    order = [_rotated(triple, 21 - index) for index, triple in enumerate(triples)]
    encoded = "".join(_encoded(digest[a], digest[b], digest[c], 4) for a, b, c in order)
    return _rendered("6", salt, rounds, encoded + _encoded(0, 0, digest[63], 2))


def sha256_crypt(password: bytes, salt: str, *, rounds: int = ROUNDS) -> str:
    """The ``$5$`` hash of a password."""
    digest = _computed(lambda data: hashlib.sha256(data).digest(), 32, password, salt, rounds)
    triples = [(i, i + 10, i + 20) for i in range(10)]
    order = [_rotated(triple, index) for index, triple in enumerate(triples)]
    encoded = "".join(_encoded(digest[a], digest[b], digest[c], 4) for a, b, c in order)
    return _rendered("5", salt, rounds, encoded + _encoded(0, digest[31], digest[30], 3))


def _computed(digest: Digest, size: int, password: bytes, salt_text: str, rounds: int) -> bytes:
    salt = salt_text.encode("ascii")[:LONGEST_SALT]
    alternate = digest(password + salt + password)  # steps 4 to 8
    start = bytearray(password + salt + _repeated(alternate, len(password)))  # 1 to 3, 9, 10
    length = len(password)
    while length:  # step 11
        start += alternate if length & 1 else password
        length >>= 1
    result = digest(bytes(start))  # step 12
    p = _repeated(digest(password * len(password)), len(password))  # steps 13 to 16
    s = _repeated(digest(salt * (16 + result[0])), len(salt))  # steps 17 to 20
    for index in range(rounds):  # step 21
        odd = index % 2 == 1
        data = p if odd else result
        if index % 3:
            data += s
        if index % 7:
            data += p
        data += result if odd else p
        result = digest(data)
    return result[:size]


def _repeated(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _rotated(triple: tuple[int, int, int], steps: int) -> tuple[int, int, int]:
    turn = steps % 3
    turned = triple[-turn:] + triple[:-turn] if turn else triple
    return turned[0], turned[1], turned[2]


def _encoded(high: int, middle: int, low: int, characters: int) -> str:
    value = high << 16 | middle << 8 | low
    return "".join(_ALPHABET[value >> 6 * index & 63] for index in range(characters))


def _rendered(method: str, salt: str, rounds: int, encoded: str) -> str:
    settings = "" if rounds == ROUNDS else f"rounds={rounds}$"
    return f"${method}${settings}{salt[:LONGEST_SALT]}${encoded}"
