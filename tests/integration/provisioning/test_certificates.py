"""Keys that the media names by thumbprint and the fabric delivers (spec DAEMON 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.fabric import Fabric, Vm
from tests.fabric.certificates import StoredCertificate
from tests.fabric.media import MediaKey, MediaKeyPair
from tests.support.machine import ANY_USER
from tests.support.new_machine import KEYS_FILE, LIB, READY, USER, WANTED, World

PAIR = f"/home/{USER}/.ssh/id"


@pytest.fixture
def delivering() -> Iterator[Fabric]:
    """A fabric that delivers a certificate of the user's beside its own."""
    with Fabric(Vm()) as running:
        running.platform.add_certificate("CN=user")
        yield running


def users(fabric: Fabric) -> StoredCertificate:
    """The certificate of the user's."""
    return fabric.world.sealer.certificates[-1]


def test_public_key_is_taken_out_of_its_certificate(tmp_path: Path, delivering: Fabric) -> None:
    certificate = users(delivering)
    keys = (MediaKey(path=KEYS_FILE, fingerprint=certificate.thumbprint.lower()),)
    world = World(tmp_path, delivering, replace(WANTED, keys=keys))
    world.provision()
    assert world.health[-1] == READY
    expected = certificate.certificate.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert world.guest.file(KEYS_FILE) == expected.decode() + "\n"
    assert not world.has(f"{certificate.thumbprint}.pub")


def test_value_wins_over_a_thumbprint(tmp_path: Path, delivering: Fabric) -> None:
    keys = (replace(WANTED.keys[0], fingerprint="AB12"),)
    world = World(tmp_path, delivering, replace(WANTED, keys=keys))
    world.provision()
    assert world.health[-1] == READY
    assert world.guest.file(KEYS_FILE) == f"{WANTED.keys[0].value}\n"


def test_key_pair_becomes_the_users_own(tmp_path: Path, delivering: Fabric) -> None:
    certificate = users(delivering)
    assert certificate.key is not None
    pairs = (MediaKeyPair(path=PAIR, fingerprint=certificate.thumbprint),)
    world = World(tmp_path, delivering, replace(WANTED, key_pairs=pairs))
    world.provision()
    assert world.health[-1] == READY
    private = serialization.load_pem_private_key(world.guest.file(PAIR).encode(), None)
    public = serialization.load_pem_public_key(world.guest.file(f"{PAIR}.pub").encode())
    wanted = certificate.key.private_numbers()
    assert private.private_numbers() == wanted  # type: ignore[union-attr]
    assert public.public_numbers() == wanted.public_numbers  # type: ignore[union-attr]
    assert world.guest.mode(PAIR) == 0o600
    assert world.guest.mode(f"{PAIR}.pub") == 0o644
    assert world.guest.owner(PAIR) == world.guest.owner(f"{PAIR}.pub") == (ANY_USER, ANY_USER)


def test_certificate_without_a_key_makes_no_pair(tmp_path: Path, delivering: Fabric) -> None:
    certificate = delivering.platform.add_certificate("CN=public", with_key=False)
    pairs = (MediaKeyPair(path=PAIR, fingerprint=certificate.thumbprint),)
    world = World(tmp_path, delivering, replace(WANTED, key_pairs=pairs))
    world.provision()
    expected = f"[ProvisionError] Can't find {certificate.thumbprint}.prv"
    assert str(world.health[-1][2]).startswith(expected)


def test_certificate_that_comes_later_is_used_then(tmp_path: Path, delivering: Fabric) -> None:
    """The fabric had it not at hand at the first start."""
    certificate = users(delivering)
    world = World(
        tmp_path,
        delivering,
        replace(WANTED, keys=(MediaKey(path=KEYS_FILE, fingerprint=certificate.thumbprint),)),
    )
    delivering.fault("wire.certificates", "NOT_FOUND")
    world.provision()
    assert world.health[-1][1] == "ProvisioningFailed"
    delivering.clear_faults()
    world.provision()
    assert world.health[-1] == READY
    assert world.guest.file(KEYS_FILE).startswith("ssh-rsa ")
    assert world.guest.mode(f"{LIB}/{certificate.thumbprint}.prv") == 0o600
