"""A request that breaks the protocol is refused, and the journal says why."""

from __future__ import annotations

import base64
import datetime
import json
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.emulator.client import DETAILS, IMDS, PLAIN, PLUGIN, WIRE, XML_POST, Client
from tests.fabric import Fabric

JSON_POST = {"Content-Type": "application/json"}
AGENT = "69B669B9-4AF8-4C50-BDC4-6006FA76E975"


def event(params: str, provider: str = AGENT) -> str:
    return (
        f'<TelemetryData version="1.0"><Provider id="{provider}"><Event id="1">'
        f"<![CDATA[{params}]]></Event></Provider></TelemetryData>"
    )


def signal(**facts: object) -> str:
    one = {"ObservationName": "A", "IsHealthy": True, "Description": "", "Value": "", **facts}
    whole = {"Api": "reporttargethealth", "Version": "1.0", "Source": "x", "Observations": [one]}
    return json.dumps(whole)


class Wrong(NamedTuple):
    """One wrong request, the answer to it and words of the violation."""

    method: str
    url: str
    headers: dict[str, str]
    body: str
    status: int
    says: str


TELEMETRY = f"{WIRE}/machine?comp=telemetrydata"
SIGNAL = f"{WIRE}/HealthService"
GOAL = f"{WIRE}/machine/?comp=goalstate"
ACCEPTED = '<Param Name="Name" Value="x" T="mt:wstr" />'
CASES = {
    "goal state without version": Wrong("GET", GOAL, {}, "", 400, "x-ms-version is missing"),
    "goal state of an unknown version": Wrong(
        "GET", GOAL, {"x-ms-version": "2001-01-01"}, "", 400, "'2001-01-01'"
    ),
    "goal state by POST": Wrong("POST", GOAL, PLAIN, "", 405, "the method must be GET"),
    "a path nobody knows": Wrong("GET", f"{WIRE}/other", {}, "", 404, "nobody expects"),
    "health that is no XML": Wrong(
        "POST", f"{WIRE}/machine?comp=health", XML_POST, "<Health>", 400, "is no XML"
    ),
    "health of another type": Wrong(
        "POST", f"{WIRE}/machine?comp=health", {**PLAIN, **JSON_POST}, "{}", 415, "content type"
    ),
    "telemetry without events": Wrong(
        "POST", TELEMETRY, XML_POST, '<TelemetryData version="1.0" />', 400, "without an event"
    ),
    "telemetry of an unknown provider": Wrong(
        "POST", TELEMETRY, XML_POST, event(ACCEPTED, "nobody"), 400, "no Provider"
    ),
    "telemetry with a wrong type": Wrong(
        "POST", TELEMETRY, XML_POST, event('<Param Name="RAM" Value="1" T="mt:wstr" />'), 400,
        "RAM is of type mt:wstr and not mt:uint64",
    ),
    "telemetry with a value that is not its type": Wrong(
        "POST", TELEMETRY, XML_POST, event('<Param Name="RAM" Value="x" T="mt:uint64" />'), 400,
        "RAM is 'x'",
    ),
    "telemetry with a parameter twice": Wrong(
        "POST", TELEMETRY, XML_POST, event(ACCEPTED * 2), 400, "Name twice"
    ),
    "telemetry of more than 64 KiB": Wrong(
        "POST", TELEMETRY, XML_POST, event(ACCEPTED.replace("x", "x" * 70000)), 413, "64 KiB"
    ),
    "telemetry with a DOCTYPE": Wrong(
        "POST", TELEMETRY, XML_POST, "<!DOCTYPE a><TelemetryData/>", 400, "DOCTYPE"
    ),
    "a signal with a long name": Wrong(
        "POST", SIGNAL, JSON_POST, signal(ObservationName="x" * 65), 400, "at most 64"
    ),
    "a signal with a long value": Wrong(
        "POST", SIGNAL, JSON_POST, signal(Value="x" * 129), 400, "at most 128"
    ),
    "a signal whose health is text": Wrong(
        "POST", SIGNAL, JSON_POST, signal(IsHealthy="true"), 400, "no boolean"
    ),
    "a signal with an unknown member": Wrong(
        "POST", SIGNAL, JSON_POST, signal(Other=1), 400, "not an object of"
    ),
    "metadata without its header": Wrong(
        "GET", f"{IMDS}/metadata/instance?api-version=2018-02-01", {}, "", 400, "Metadata: true"
    ),
    "metadata of no version": Wrong(
        "GET", f"{IMDS}/metadata/instance", {"Metadata": "true"}, "", 400, "api-version None"
    ),
    "metadata that was forwarded": Wrong(
        "GET", f"{IMDS}/metadata/instance?api-version=2018-02-01",
        {"Metadata": "true", "X-Forwarded-For": "10.0.0.9"}, "", 400, "was forwarded",
    ),
    "metadata that is not there": Wrong(
        "GET", f"{IMDS}/metadata/instance/nothing?api-version=2018-02-01", {"Metadata": "true"},
        "", 404, "no metadata at",
    ),
    "vmSettings without a container": Wrong(
        "GET", f"{PLUGIN}/vmSettings",
        {"x-ms-version": "2015-09-01", "x-ms-client-correlationid": AGENT}, "", 400,
        "x-ms-containerid is missing",
    ),
    "vmSettings without a correlation id": Wrong(
        "GET", f"{PLUGIN}/vmSettings", {"x-ms-version": "2015-09-01"}, "", 400, "correlationid"
    ),
    "an artifact without its location": Wrong(
        "GET", f"{PLUGIN}/extensionArtifact", {"x-ms-version": "2015-09-01"}, "", 400,
        "x-ms-artifact-location is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_wrong_request_is_refused_and_recorded(offender: Client, name: str) -> None:
    wrong = CASES[name]
    body = wrong.body.encode() or None
    answer = offender.send(wrong.method, wrong.url, wrong.headers, body)
    assert answer.status == wrong.status
    assert len(offender.fabric.violations) == 1
    assert wrong.says in offender.fabric.violations[0]


HEALTH_CASES = {
    "another container": ({"container": "nobody"}, "Ready", "", "never in a goal state"),
    "another instance": ({"instance": "nobody"}, "Ready", "", "is not the goal state's"),
    "a future incarnation": ({"incarnation": "9"}, "Ready", "", "no goal state had"),
    "an unknown state": ({}, "Perhaps", "", "neither Ready nor NotReady"),
    "NotReady alone": ({}, "NotReady", "", "without Details"),
    "an unknown sub-status": ({}, "NotReady", DETAILS.format("Bored", ""), "'Bored' is unknown"),
    "too long a description": (
        {}, "NotReady", DETAILS.format("ProvisioningFailed", "x" * 4097), "longer than 4096",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HEALTH_CASES))
def test_a_wrong_health_report_is_refused_and_recorded(offender: Client, name: str) -> None:
    facts, state, details, says = HEALTH_CASES[name]
    assert offender.health(state, details, **facts).status == 400
    assert says in offender.fabric.violations[0]
    assert offender.fabric.world.received.health == []


def test_certificates_need_a_readable_transport_certificate(offender: Client) -> None:
    for text, says in (("", "cannot be read"), ("AAAA", "cannot be read")):
        headers = {**offender.secret_headers(), "x-ms-guest-agent-public-x509-cert": text}
        assert offender.document("Certificates", **headers).status == 400
        assert says in offender.fabric.violations[-1]


def test_certificates_need_a_transport_certificate_with_a_key_identifier(offender: Client) -> None:
    bare = certificate_without_key_identifier()
    headers = {**offender.secret_headers(), "x-ms-guest-agent-public-x509-cert": bare}
    assert offender.document("Certificates", **headers).status == 400
    assert "subject key identifier" in offender.fabric.violations[0]


def certificate_without_key_identifier() -> str:
    """A self-signed certificate without extensions, as one line of base64."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LinuxTransport")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def test_an_unknown_cipher_is_refused(offender: Client) -> None:
    answer = offender.document("Certificates", **offender.secret_headers("ROT13"))
    assert answer.status == 400
    assert "'ROT13' is unknown" in offender.fabric.violations[0]


def test_a_document_url_that_was_rewritten_is_served_but_recorded(offender: Client) -> None:
    url = offender.goal_state().findtext(".//SharedConfig") or ""
    assert offender.get(url.replace("%2D", "-")).status == 200
    assert "letter by letter" in offender.fabric.violations[0]


def test_a_chunked_body_is_recorded(offender: Client) -> None:
    headers = {**XML_POST, "Transfer-Encoding": "chunked"}
    offender.send("POST", f"{WIRE}/machine?comp=health", headers, b"0\r\n\r\n")
    assert "chunked" in offender.fabric.violations[0]


def test_leaving_a_fabric_that_was_wronged_raises_with_all_reasons() -> None:
    def wrong_it_twice() -> None:
        with Fabric() as fabric:
            Client(fabric).send("GET", f"{WIRE}/one")
            Client(fabric).send("GET", f"{WIRE}/two")

    with pytest.raises(AssertionError, match=r"(?s)/one.*nobody expects.*/two.*nobody expects"):
        wrong_it_twice()
