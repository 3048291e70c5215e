"""Expected hashes are those of the algorithm's specification, and of libcrypt."""

from __future__ import annotations

import pytest

from waagent.guest.sha_crypt import sha256_crypt, sha512_crypt

LONG = "a very much longer text to encrypt.  This one even stretches over morethan one line."


@pytest.mark.parametrize(
    ("salt", "rounds", "password", "expected"),
    [
        (
            "saltstring",
            5000,
            "Hello world!",
            (
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnI"
                "FNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
            ),
        ),
        (
            "saltstringsaltst",
            10000,
            "Hello world!",
            (
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3"
                "Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
            ),
        ),
        (
            "anotherlongsalts",
            1400,
            LONG,
            (
                "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o"
                "/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"
            ),
        ),
        (
            "b",
            5000,
            "p\u00e4" * 40,
            (
                "$6$b$LDzNYrJyjcsdw1/a2QlqgBr0VdkHvFFS7FVMOMMktFmw2JEkvH5Bqm5"
                "YMffeSqI8Q2vM0aaMcCRCyZqd395zP0"
            ),
        ),
    ],
)
def test_sha512_hashes_are_those_of_crypt(
    salt: str, rounds: int, password: str, expected: str
) -> None:
    assert sha512_crypt(password.encode(), salt, rounds=rounds) == expected


@pytest.mark.parametrize(
    ("salt", "rounds", "password", "expected"),
    [
        (
            "saltstring",
            5000,
            "Hello world!",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        ),
        (
            "saltstringsaltst",
            10000,
            "Hello world!",
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
        ),
        (
            "a",
            5000,
            "",
            "$5$a$CZ9Csdk0HaS3TQcxgDHTwM2gwOEDCViPn83i6BpFdH.",
        ),
    ],
)
def test_sha256_hashes_are_those_of_crypt(
    salt: str, rounds: int, password: str, expected: str
) -> None:
    assert sha256_crypt(password.encode(), salt, rounds=rounds) == expected


def test_salt_is_cut_to_sixteen_characters() -> None:
    assert sha512_crypt(b"x", "s" * 20) == sha512_crypt(b"x", "s" * 16)
