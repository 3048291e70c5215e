"""PKCS#12 with an empty password, in the shapes that occur and some that must not harm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from asn1crypto import cms, core, pkcs12
from cryptography.hazmat.primitives import serialization

from tests.support.pfx_files import (
    Lock,
    PrivateKey,
    certificate,
    certificate_bag,
    clear_key_bag,
    clear_part,
    ec_key,
    key_der,
    pfx_file,
    pfx_of,
    rsa_key,
    thumbprint,
)
from waagent.core.errors import CryptoError
from waagent.protocol.bundle import Bundle
from waagent.protocol.ciphers import MAX_COST
from waagent.protocol.pfx import MAX_BAGS, MAX_KEY_BYTES, open_pfx

LOCKS = (Lock(), Lock(password=b""), Lock(scheme="pbes2"), Lock(iterations=2000))


def keys_by_thumbprint(bundle: Bundle) -> dict[str, bool]:
    """Which certificates came with a key."""
    return {pair.thumbprint: pair.has_private_key for pair in bundle.pairs}


def is_this_key(pem: bytes, key: PrivateKey) -> bool:
    """Whether the PEM is this very key, as PKCS#8."""
    return pem == key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_pfx_with_several_keys_gives_each_certificate_its_own(lock: Lock) -> None:
    """Matched by public key, whatever the order."""
    first, second, third = rsa_key(), ec_key(), rsa_key()
    ders = [certificate(first, "one"), certificate(second, "two"), certificate(third, "three")]
    owners: tuple[PrivateKey, ...] = (first, second, third)
    made = dict(zip(map(thumbprint, ders), owners))
    bundle = open_pfx(pfx_file(ders, [key_der(third), key_der(first), key_der(second)], lock))
    assert [pair.thumbprint for pair in bundle.pairs] == [thumbprint(der) for der in ders]
    for pair in bundle.pairs:
        assert pair.private_key_pem is not None
        assert is_this_key(pair.private_key_pem, made[pair.thumbprint])
    assert bundle.notes == ()


def test_pfx_leaves_out_a_key_without_certificate_and_keeps_the_rest() -> None:
    """The reference loses the whole list over it (WIRE 14, no. 3)."""
    key, lonely = rsa_key(), rsa_key()
    der = certificate(key, "tenant")
    bundle = open_pfx(pfx_file([der], [key_der(lonely), key_der(key)]))
    assert keys_by_thumbprint(bundle) == {thumbprint(der): True}
    assert bundle.notes == ("1 private key(s) left out: no certificate has their public key",)


def test_pfx_certificate_without_key_is_listed_without_one() -> None:
    """As the platform's own certificate always is."""
    der = certificate(rsa_key(), "platform")
    assert keys_by_thumbprint(open_pfx(pfx_file([der], []))) == {thumbprint(der): False}


def test_pfx_renewed_certificate_shares_the_key_of_the_old_one() -> None:
    """Settings may still be sealed for the older of the two."""
    key = rsa_key()
    ders = [certificate(key, "old"), certificate(key, "new")]
    bundle = open_pfx(pfx_file(ders, [key_der(key)]))
    assert keys_by_thumbprint(bundle) == {thumbprint(der): True for der in ders}


def test_pfx_certificate_that_occurs_twice_is_listed_once() -> None:
    """A file is named by its thumbprint."""
    der = certificate(rsa_key(), "twice")
    assert len(open_pfx(pfx_file([der, der], [])).pairs) == 1


def test_pfx_with_clear_bags_is_read_too() -> None:
    """Nothing says that a bag must be encrypted."""
    key = rsa_key()
    der = certificate(key, "clear")
    bundle = open_pfx(pfx_of([clear_part([clear_key_bag(key_der(key)), certificate_bag(der)])]))
    assert keys_by_thumbprint(bundle) == {thumbprint(der): True}


@pytest.mark.parametrize("size", [100, MAX_KEY_BYTES + 1])
def test_pfx_leaves_out_a_key_of_unknown_kind_or_size(size: int) -> None:
    """The certificates stay usable."""
    algorithm = b"\x30\x04\x06\x02\x2a\x03"  # 1.2.3, which means nothing
    inner = core.Integer(0).dump() + algorithm + core.OctetString(b"x" * size).dump()
    body = b"\x30" + core.OctetString(inner).dump()[1:]  # the same length, as a SEQUENCE
    der = certificate(rsa_key(), "a")
    for scheme in ("pbe", "pbes2"):
        bundle = open_pfx(pfx_file([der], [body], Lock(scheme=scheme)))
        assert keys_by_thumbprint(bundle) == {thumbprint(der): False}
        assert bundle.notes == ("a private key is left out: its kind or size is not known",)


@pytest.mark.parametrize(
    "options",
    [
        ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
        ("-keypbe", "PBE-SHA1-2DES", "-certpbe", "PBE-SHA1-2DES"),
        ("-keypbe", "aes-128-cbc", "-certpbe", "aes-192-cbc", "-iter", "20000"),
        ("-keypbe", "des-ede3-cbc", "-certpbe", "des-ede3-cbc"),
        ("-keypbe", "NONE", "-certpbe", "NONE"),
        ("-CSP", "Microsoft Software Key Storage Provider", "-LMK", "-nomac"),
        (),
    ],
    ids=" ".join,
)
def test_pfx_made_by_openssl_is_read(options: tuple[str, ...], tmp_path: Path) -> None:
    """With its attributes, its defaults and its older ciphers."""
    key = rsa_key()
    der = certificate(key, "tenant")
    bundle = open_pfx(pfx_file([der], [key_der(key)]))
    (pair,) = bundle.pairs
    (tmp_path / "both.pem").write_bytes(pair.certificate_pem + (pair.private_key_pem or b""))
    argv = ["openssl", "pkcs12", "-export", "-in", "both.pem", "-passout", "pass:", *options]
    made = subprocess.run(
        [*argv, "-name", "TenantEncryptionCert"], cwd=tmp_path, capture_output=True, check=True
    )
    assert open_pfx(made.stdout) == bundle


def test_pfx_without_any_bag_is_an_empty_bundle() -> None:
    """A machine without certificates is no error."""
    assert open_pfx(pfx_of([clear_part([])])) == Bundle(())


def test_pfx_key_is_not_shown_by_repr() -> None:
    """A bundle in a log line must not give keys away."""
    key = rsa_key()
    bundle = open_pfx(pfx_file([certificate(key, "a")], [key_der(key)]))
    assert "PRIVATE" not in repr(bundle)


def test_pfx_with_a_real_password_is_refused() -> None:
    """With a reason, and without a guess."""
    locked = pfx_file([certificate(rsa_key(), "x")], [], Lock(password="pw\0".encode("utf-16-be")))
    with pytest.raises(CryptoError, match="not encrypted with an empty password"):
        open_pfx(locked)


@pytest.mark.parametrize("scheme", ["pbe", "pbes2"])
def test_pfx_that_asks_for_too_much_hashing_is_refused_before_it_is_done(scheme: str) -> None:
    """The number is the sender's, the time is ours."""
    data = pfx_file([certificate(rsa_key(), "x")], [], Lock(scheme=scheme))
    patched = _with_iterations(data, MAX_COST + 1)
    with pytest.raises(CryptoError, match="hash iterations"):
        open_pfx(patched)


def test_pfx_with_too_many_bags_is_refused() -> None:
    """Each costs memory and a look."""
    bags = [certificate_bag(certificate(rsa_key(), "x"))] * (MAX_BAGS + 1)
    with pytest.raises(CryptoError, match="bags"):
        open_pfx(pfx_of([clear_part(bags)]))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"not asn.1 at all", b"\x30\x80\x00\x00"])
def test_pfx_that_is_none_is_a_crypto_error(data: bytes) -> None:
    """And nothing else."""
    with pytest.raises(CryptoError, match="cannot open the PFX"):
        open_pfx(data)


def _with_iterations(data: bytes, iterations: int) -> bytes:
    """The file with another number of iterations in the algorithm of its locked part."""
    pfx = pkcs12.Pfx.load(data)
    safe = pkcs12.AuthenticatedSafe.load(pfx["auth_safe"]["content"].native)
    algorithm = safe[1]["content"]["encrypted_content_info"]["content_encryption_algorithm"]
    parameters = algorithm["parameters"]
    if algorithm["algorithm"].native == "pbes2":
        parameters["key_derivation_func"]["parameters"]["iteration_count"] = iterations
    else:
        parameters["iterations"] = iterations
    content = core.OctetString(safe.dump(force=True))
    whole = {
        "version": "v3",
        "auth_safe": cms.ContentInfo({"content_type": "data", "content": content}),
    }
    return bytes(pkcs12.Pfx(whole).dump())
