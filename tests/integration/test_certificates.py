"""The goal state's certificates: either cipher, either key transport, as files for extensions."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fabric import ECHO, Fabric, JitUser
from tests.fabric.certificates import AES, DES, OAEP, PKCS1, StoredCertificate
from tests.support.agent import RootedAgent
from waagent.core.events import Op
from waagent.protocol.errors import ProtocolFault


def ciphers(agent: RootedAgent, since: int = 0) -> list[str]:
    """Which cipher was asked for, request by request."""
    asked = agent.fabric.journal.entries("wire.certificates", since)
    return [entry.header("x-ms-cipher-name") or "" for entry in asked]


def check_files(agent: RootedAgent, certificate: StoredCertificate) -> None:
    """The certificate's files hold it, and its key where Azure hands that out."""
    crt, prv = (agent.lib(f"{certificate.thumbprint}.{kind}") for kind in ("crt", "prv"))
    assert x509.load_pem_x509_certificate(crt.read_bytes()) == certificate.certificate
    assert crt.stat().st_mode & 0o077 == 0
    assert prv.exists() is (certificate.key is not None)
    if certificate.key is not None:
        key = serialization.load_pem_private_key(prv.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.private_numbers() == certificate.key.private_numbers()
        assert prv.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("transport", [OAEP, PKCS1])
@pytest.mark.parametrize("cipher", [AES, DES])
def test_certificates_become_files_whichever_cipher_and_key_transport(
    bare_fabric: Fabric, tmp_path: Path, cipher: str, transport: str
) -> None:
    bare_fabric.world.transport[cipher] = transport
    if cipher == DES:
        bare_fabric.fault("wire.certificates", "NOT_FOUND", 1)
    agent = RootedAgent(tmp_path, bare_fabric)
    snapshot = agent.session.store.refresh()
    assert ciphers(agent) == [AES] if cipher == AES else [AES, DES]
    for certificate in bare_fabric.world.sealer.certificates:
        check_files(agent, certificate)
    assert {(each.thumbprint, each.has_private_key) for each in snapshot.certificates} == {
        (each.thumbprint, each.key is not None) for each in bare_fabric.world.sealer.certificates
    }
    said = {event["Message"] for event in agent.events(Op.GOAL_STATE_CERTIFICATES)}
    assert said == {
        f"Downloaded certificate {{'thumbprint': '{each.thumbprint}', "
        f"'hasPrivateKey': {each.key is not None}}}"
        for each in bare_fabric.world.sealer.certificates
    }


def test_several_keys_in_one_answer_become_files_and_the_old_ones_stay(bare: RootedAgent) -> None:
    first = bare.fabric.world.sealer.certificates
    mine = bare.fabric.platform.add_certificate("from-a-vault")
    public = bare.fabric.platform.add_certificate("public-only", with_key=False)
    bare.turn()
    for certificate in (*first, mine, public):
        check_files(bare, certificate)
    bare.fabric.platform.rotate_certificates()
    bare.turn()
    for certificate in (*bare.fabric.world.sealer.certificates, *first):
        check_files(bare, certificate)
    together = bare.lib("Certificates.pem").read_text(encoding="ascii")
    assert together.count("BEGIN CERTIFICATE") == 2
    assert together.count("PRIVATE KEY-----\n") == 2


def test_keys_stay_closed_after_the_second_fetch(bare: RootedAgent) -> None:
    bare.fabric.platform.change()
    bare.turn()
    assert bare.requests("wire.certificates") == 2
    names = ("*.prv", "*.crt", "*.pem", "Certificates.xml", "Certificates.p7m")
    found = [path for pattern in names for path in bare.paths.lib.glob(pattern)]
    assert len(found) >= 8
    assert [path.name for path in found if path.stat().st_mode & 0o077] == []


def test_goal_state_counts_without_certificates_when_neither_cipher_is_served(
    agent: RootedAgent,
) -> None:
    since = agent.now
    agent.fabric.fault("wire.certificates", "NOT_FOUND", 2)
    agent.fabric.portal.update_settings(ECHO, {"echo": "still"}, {"secret": "opened with old key"})
    agent.turn()
    assert ciphers(agent, since) == [AES, DES]
    assert "echo=still" in agent.extension(ECHO)[2], "the old key is on the disk still"
    failures = [e for e in agent.events(Op.GOAL_STATE_CERTIFICATES) if not e["OperationSuccess"]]
    assert len(failures) == 1
    assert "404" in failures[0]["Message"]


@pytest.mark.parametrize("kind", ["SomethingNew", ""])
def test_unknown_format_means_no_certificates_and_an_empty_one_the_usual(
    bare: RootedAgent, kind: str
) -> None:
    since = bare.now
    bare.fabric.platform.change(certificate_format=kind)
    bare.turn()
    assert ciphers(bare, since) == [AES]
    assert len(bare.session.store.current().certificates) == (0 if kind else 2)


def test_unreadable_transport_certificate_costs_only_the_certificates(bare: RootedAgent) -> None:
    bare.paths.transport_cert.unlink()
    bare.fabric.platform.change()
    bare.new_status()
    assert bare.session.store.current().certificates == ()
    failures = [e for e in bare.events(Op.GOAL_STATE_CERTIFICATES) if not e["OperationSuccess"]]
    assert f"Failed to read {bare.paths.transport_cert}" in failures[0]["Message"]


def test_remote_access_is_read_and_needs_the_transport_certificate(bare: RootedAgent) -> None:
    bare.fabric.platform.set_users([JitUser("jit1", "Pass word 1")])
    access = bare.session.store.refresh().remote_access
    assert access is not None
    assert [user.name for user in access.users] == ["jit1"]
    bare.paths.transport_cert.rename(bare.lib("elsewhere"))
    bare.fabric.platform.set_users([JitUser("jit2", "Pass word 2")])
    with pytest.raises(ProtocolFault, match=r"Failed to read .*TransportCert\.pem"):
        bare.session.store.refresh()
    bare.lib("elsewhere").rename(bare.paths.transport_cert)
    access = bare.session.store.refresh().remote_access
    assert access is not None
    assert [user.name for user in access.users] == ["jit2"]


def test_no_secret_is_in_the_agents_own_history(agent: RootedAgent) -> None:
    for path in agent.paths.history.rglob("*"):
        if path.is_file():
            assert b"PRIVATE KEY" not in path.read_bytes(), path
