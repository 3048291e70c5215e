"""Certificates that cannot be opened: told of by their own event, and nothing else is lost."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from asn1crypto import pkcs12
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.fabric import ECHO, Fabric
from tests.fabric.certificates import AES, PKCS1, envelope, issue, issue_set, pfx
from tests.fabric.documents import render_certificates
from tests.fabric.faults import SPOIL, Fault
from tests.support.agent import RootedAgent
from waagent.core.events import Op

Body = Callable[[RootedAgent], bytes]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootedAgent]:
    """The agent of a machine with an extension that has opened its protected settings."""
    with Fabric() as fabric:
        one = RootedAgent(tmp_path_factory.mktemp("machine"), fabric).start()
        one.turn()
        assert one.extension(ECHO)[0] == "success"
        yield one


@pytest.fixture
def agent(shared: RootedAgent) -> RootedAgent:
    """That agent, with nothing said yet."""
    shared.fabric.clear_faults()
    for path in shared.paths.events.glob("*.tld"):
        path.unlink()
    return shared


def transport_certificate(agent: RootedAgent) -> x509.Certificate:
    """The one that the agent offers for sealing."""
    return x509.load_pem_x509_certificate(agent.paths.transport_cert.read_bytes())


def around(agent: RootedAgent, sealed: bytes) -> bytes:
    """The document around an envelope."""
    return render_certificates(agent.fabric.vm, sealed)


def sealed(agent: RootedAgent, content: bytes) -> bytes:
    """The document with this content, sealed for the agent."""
    cms = envelope(content, transport_certificate(agent), AES, transport=PKCS1)
    return around(agent, cms)


def for_another(agent: RootedAgent) -> bytes:
    """What was sealed for another machine's key."""
    content = pfx(agent.fabric.world.sealer.certificates)
    return around(agent, envelope(content, issue("x", "x").certificate, AES, transport=PKCS1))


def costly(agent: RootedAgent) -> bytes:
    """A PFX whose passwords would be stretched for hours."""
    whole: Any = pkcs12.Pfx.load(pfx(agent.fabric.world.sealer.certificates))
    safes = pkcs12.AuthenticatedSafe.load(whole["auth_safe"]["content"].native)
    algorithm = safes[1]["content"]["encrypted_content_info"]["content_encryption_algorithm"]
    algorithm["parameters"]["iterations"] = 2_000_000_000
    bags = pkcs12.SafeContents.load(safes[0]["content"].native)
    for bag in bags:
        bag["bag_value"]["encryption_algorithm"]["parameters"]["iterations"] = 2_000_000_000
    safes[0]["content"] = bags.dump(force=True)
    whole["auth_safe"]["content"] = safes.dump(force=True)
    return sealed(agent, whole.dump(force=True))


def cut_base64(agent: RootedAgent) -> bytes:
    """An envelope whose text ends in the middle."""
    good = sealed(agent, pfx(agent.fabric.world.sealer.certificates)).decode()
    head, _, rest = good.partition("<Data>")
    text, _, tail = rest.partition("</Data>")
    return f"{head}<Data>{text[: len(text) // 2 + 1]}</Data>{tail}".encode()


BAD: dict[str, tuple[Body, str]] = {
    "cut short": (lambda _: b"<CertificateFile><Version>", "not well-formed XML"),
    "not XML": (lambda _: b"\0\1\2 garbage", "not well-formed XML"),
    "another document": (lambda _: b"<html/>", 'the root is "html"'),
    "a document type": (
        lambda _: b'<!DOCTYPE x [<!ENTITY a "b">]><CertificateFile>&a;</CertificateFile>',
        "document type declaration",
    ),
    "base64 cut short": (cut_base64, "ase64|envelope"),
    "no base64": (lambda agent: around(agent, b"").replace(b"<Data>", b"<Data>%%%"), "ase64|envel"),
    "no envelope": (lambda agent: around(agent, b"garbage" * 99), "cannot open the envelope"),
    "an image": (lambda agent: around(agent, base64.b64decode(b"iVBORw0KGgo=")), "the envelope"),
    "sealed for another key": (for_another, "cannot open the envelope"),
    "no PFX": (lambda agent: sealed(agent, b"no PFX at all"), "cannot open the PFX"),
    "costly": (costly, "cannot open the PFX"),
}


@pytest.mark.parametrize("kind", BAD)
def test_certificates_that_cannot_be_opened_cost_only_themselves(
    agent: RootedAgent, kind: str
) -> None:
    body, why = BAD[kind]
    keys = {path.name: path.read_bytes() for path in agent.paths.lib.glob("*.[cp]r[tv]")}
    assert len(keys) >= 3
    agent.fabric.portal.update_settings(ECHO, {"echo": "second"}, {"secret": "for the old key"})
    agent.fabric.fault("wire.certificates", Fault("BAD", SPOIL, body=body(agent)))
    began = time.monotonic()
    agent.new_status()
    assert time.monotonic() - began < 5
    assert agent.process.loop.failures_since_heartbeat == 0
    found = agent.events(Op.GOAL_STATE_CERTIFICATES)
    (said,) = (event["Message"] for event in found if not event["OperationSuccess"])
    assert said.startswith("Error fetching the goal state certificates: ")
    assert any(each in said for each in why.split("|")), said
    assert len(said) < 500
    assert agent.extension(ECHO)[0] == "success", "the key from before is on the disk still"
    assert "echo=second" in agent.extension(ECHO)[2]
    assert {name: agent.lib(name).read_bytes() for name in keys} == keys
    agent.fabric.clear_faults()
    agent.fabric.portal.update_settings(ECHO, {"echo": "third"}, {"secret": "after that"})
    since = agent.now
    agent.new_status()
    assert agent.requests("wire.certificates", since) == 1
    assert len(agent.session.store.current().certificates) == 2
    assert "echo=third" in agent.extension(ECHO)[2]


def test_settings_sealed_for_a_key_that_did_not_come_fail_by_name_and_are_served_later(
    agent: RootedAgent,
) -> None:
    agent.fabric.fault("wire.certificates", Fault("BAD", SPOIL, body=b"<Certificat"), 2)
    agent.fabric.platform.rotate_certificates(issue_set())
    agent.fabric.portal.update_settings(ECHO, {"echo": "late"}, {"secret": "for the new key"})
    agent.new_status()
    assert agent.item(ECHO)["status"] == "NotReady"
    assert "54" in agent.item(ECHO)["formattedMessage"]["message"], "the handler's own exit code"
    agent.fabric.platform.change()
    agent.new_status()
    assert agent.item(ECHO)["status"] == "Ready"
    assert "echo=late" in agent.extension(ECHO)[2]


def test_certificate_that_cannot_be_read_is_left_out_and_the_others_serve(
    agent: RootedAgent,
) -> None:
    good = agent.fabric.world.sealer.certificates
    whole: Any = pkcs12.Pfx.load(pfx(good))
    safes = pkcs12.AuthenticatedSafe.load(whole["auth_safe"]["content"].native)
    bags = pkcs12.SafeContents.load(safes[0]["content"].native)
    sealed_key = bytearray(bags[0]["bag_value"]["encrypted_data"].native)
    sealed_key[-1] ^= 0x55
    bags[0]["bag_value"]["encrypted_data"] = bytes(sealed_key)
    safes[0]["content"] = bags.dump(force=True)
    whole["auth_safe"]["content"] = safes.dump(force=True)
    body = sealed(agent, whole.dump(force=True))
    agent.fabric.fault("wire.certificates", Fault("BAD", SPOIL, body=body))
    agent.fabric.platform.change()
    agent.new_status()
    assert len(agent.session.store.current().certificates) == len(good)
    keys = [each.has_private_key for each in agent.session.store.current().certificates]
    before = [each.key is not None for each in good]
    assert sum(keys) == sum(before) - 1
    for each in good:
        if each.key is not None:
            kept = agent.lib(f"{each.thumbprint}.prv").read_bytes()
            assert serialization.load_pem_private_key(kept, None) is not None
