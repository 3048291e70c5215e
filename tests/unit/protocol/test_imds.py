"""The metadata service's client: its two requests, and what is held against the service."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import ManualClock
from tests.support.golden import recorded
from tests.support.transport import ScriptedTransport, answers, garbled, no_answer
from waagent.core.clock import SystemClock
from waagent.core.errors import AgentError
from waagent.core.events import Events
from waagent.core.http import HttpTransport, Request
from waagent.core.proxy import ProxyRules
from waagent.protocol.exchange import Exchange
from waagent.protocol.imds import Imds, Probe, learn_compute

COMPUTE = "http://169.254.169.254/metadata/instance/compute?api-version=2018-02-01"
INSTANCE = "http://169.254.169.254/metadata/instance?api-version=2018-02-01"
HEALTHY = json.dumps(
    {
        "network": {
            "interface": [
                {"macAddress": "00", "ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4"}]}}
            ]
        }
    }
).encode()


def service(url: str, reply: Any) -> tuple[Imds, ScriptedTransport]:
    """A client and the transport behind it."""
    clock = ManualClock()
    transport = ScriptedTransport({("GET", url): reply})
    exchange = Exchange(transport, clock, endpoint="168.63.129.16")
    return Imds(exchange, user_agent="WALinuxAgent/{AGENT_VERSION}"), transport


def seen_by_a_server(request: Request) -> list[list[str]]:
    """The headers that arrive when the real transport sends the request, here to loopback."""
    seen: list[list[str]] = []

    class Answer(BaseHTTPRequestHandler):
        """Remembers the headers of its one request."""

        def do_GET(self) -> None:
            """Answer with nothing."""
            seen.extend(list(header) for header in self.headers.items())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        here = request.url.replace("169.254.169.254", f"127.0.0.1:{server.server_port}")
        assert here != request.url
        real = HttpTransport(user_agent="other", clock=SystemClock(), proxy=ProxyRules())
        real.send(replace(request, url=here))
        thread.join()
    return seen


@pytest.mark.parametrize(
    ("endpoint", "url", "body"),
    [("imds.instance_compute", COMPUTE, b"{}"), ("imds.instance", INSTANCE, HEALTHY)],
)
def test_request_has_exactly_the_headers_that_were_recorded(
    endpoint: str, url: str, body: bytes
) -> None:
    """In the recorded order, with the transport's own among them."""
    imds, transport = service(url, answers(body=body))
    if url == COMPUTE:
        imds.fetch_compute()
    else:
        imds.probe()
    wanted = next(recorded(endpoint))
    (request,) = transport.sent
    assert request.url == wanted["url"]
    assert seen_by_a_server(request)[1:] == wanted["headers"][1:]  # the first is the host


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answers(body=HEALTHY), Probe(True, "")),
        (answers(body=b"{}"), Probe(False, "Missing field: [network]")),
        (
            no_answer(),
            Probe(True, "IMDS error in /metadata/instance: Unable to connect to endpoint"),
        ),
        (
            garbled(),
            Probe(
                False,
                "IMDS error in /metadata/instance: [HTTP Failed] GET http://nowhere/ --"
                " HttpException the answer was cut short -- 6 attempts made",
            ),
        ),
        (answers(429), Probe(True, "IMDS error in /metadata/instance: Throttled")),
        (
            answers(410, b"", "Gone"),
            Probe(
                False,
                "IMDS error in /metadata/instance: HTTP Failed with Status Code 410: Gone",
            ),
        ),
        (
            answers(404, b"", "Not Found"),
            Probe(True, "IMDS error in /metadata/instance: [HTTP Failed] [404: Not Found] b''"),
        ),
        (
            answers(505, b"", "Odd"),
            Probe(False, "IMDS error in /metadata/instance: [HTTP Failed] [505: Odd] b''"),
        ),
    ],
)
def test_probe_holds_only_the_services_own_faults_against_it(reply: Any, expected: Probe) -> None:
    """Not a network without a way to it, nor a request it does not like."""
    imds, _ = service(INSTANCE, reply)
    assert imds.probe() == expected


@pytest.mark.parametrize("status", [403, 500, 503])
def test_probe_blames_the_service_when_all_retries_were_in_vain(status: int) -> None:
    """Only being throttled is our own fault."""
    imds, transport = service(INSTANCE, answers(status))
    probe = imds.probe()
    assert not probe.is_healthy
    assert f"Status Code {status}" in probe.text
    assert len(transport.sent) > 1


def test_compute_is_learned_for_all_further_events(tmp_path: Path) -> None:
    """Where the machine runs."""
    body = json.dumps({"location": "westus", "vmId": "v", "publisher": ""}).encode()
    imds, _ = service(COMPUTE, answers(body=body))
    events = Events(tmp_path / "events", ManualClock())
    assert learn_compute(imds, events)
    assert (events.common.location, events.common.vm_id) == ("westus", "v")
    assert events.common.image_origin == 1
    assert events.common.subscription_id == "SubscriptionId_UNINITIALIZED"


@pytest.mark.parametrize("reply", [no_answer(), answers(404), answers(body=b"<html>")])
def test_compute_that_cannot_be_had_is_only_a_warning(tmp_path: Path, reply: Any) -> None:
    """The agent works without."""
    imds, _ = service(COMPUTE, reply)
    events = Events(tmp_path / "events", ManualClock())
    assert not learn_compute(imds, events)
    assert events.common.location == "Location_UNINITIALIZED"
    with pytest.raises(AgentError):
        imds.fetch_compute()
