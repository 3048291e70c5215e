"""Moments in the fabric's journal."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.bench import heard
from tests.fabric import ECHO
from tests.fabric.journal import Entry


def entry(time: float, endpoint: str, body: bytes = b"", answer: int = 200) -> Entry:
    """A request at a moment."""
    return Entry(
        number=1,
        time=time,
        endpoint=endpoint,
        method="PUT",
        url="http://fabric/",
        headers=(),
        body=body,
        answer=answer,
    )


def health(time: float, state: str) -> Entry:
    """A health report."""
    return entry(time, "wire.health", f"<Health><State>{state}</State></Health>".encode())


def status(time: float, seq_no: int, said: str = "success", *, direct: bool = False) -> Entry:
    """A status upload, through the host or straight to storage."""
    runtime: dict[str, Any] = {"sequenceNumber": seq_no}
    runtime["settingsStatus"] = {"status": {"status": said}}
    items = [{"handlerName": ECHO, "runtimeSettingsStatus": runtime}]
    document = json.dumps({"aggregateStatus": {"handlerAggregateStatus": items}}).encode()
    if direct:
        return entry(time, "storage.system", document + b"  \0\0", 201)
    content = base64.b64encode(document).decode()
    return entry(time, "hgap.status", json.dumps({"content": content}).encode(), 201)


JOURNAL = (
    entry(1.0, "dhcp"),
    entry(2.0, "wire.goalstate"),
    health(3.0, "NotReady"),
    health(5.0, "Ready"),
    status(6.0, 0, "transitioning"),
    status(7.0, 0),
    entry(8.0, "storage.manifests0"),
    entry(8.5, "storage.manifests2"),
    status(9.0, 1, direct=True),
)


def test_health_is_found_by_its_first_report() -> None:
    """Provisioning, then Ready."""
    assert heard.find_health(JOURNAL, "NotReady") == 3.0
    assert heard.find_health((*JOURNAL, health(99.0, "Ready")), "Ready") == 5.0
    assert heard.find_health(JOURNAL[:3], "Ready") is None


def test_success_is_the_first_status_that_says_so() -> None:
    """Not one that is under way, and not one of other settings."""
    assert heard.find_success(JOURNAL, ECHO, 0) == 7.0
    assert heard.find_success(JOURNAL, ECHO, 1) == 9.0
    assert heard.find_success(JOURNAL, ECHO, 2) is None
    assert heard.find_success(JOURNAL, "Another.Handler", 0) is None


def test_status_that_was_refused_does_not_count() -> None:
    """It did not arrive."""
    refused = status(4.0, 0)
    refused = entry(4.0, "hgap.status", refused.body, 410)
    assert heard.find_success((refused, *JOURNAL), ECHO, 0) == 7.0


def test_status_after_a_moment_is_any_of_them() -> None:
    """The first after a restart, whatever it says."""
    assert heard.find_status_after(JOURNAL, 5.5) == 6.0
    assert heard.find_status_after(JOURNAL, 9.0) is None


def test_requests_of_a_window_are_counted_by_endpoint() -> None:
    """Mirrors are one endpoint, and what is before or after does not count."""
    counted = heard.count_requests(JOURNAL, 1.0, 9.0)
    assert counted["storage.manifests"] == 2
    assert counted["hgap.status"] == 2
    assert "storage.system" not in counted
    assert "dhcp" not in counted


def test_list_of_requests_says_when_each_came() -> None:
    """Since the start, and since the one before."""
    line = heard.render_requests(JOURNAL[1:3], 1.5).splitlines()[1]
    assert line.split() == ["1.500", "+1.000", "200", "PUT", "wire.health"]
