"""Logs on their way to the host, whichever part of the agent collects them."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.support.agent import RootedAgent
from waagent.core.errors import HttpError
from waagent.protocol.errors import ProtocolFault


def archive() -> bytes:
    """A zip of logs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("results.txt", "all is well")
    return stream.getvalue()


def test_log_archive_reaches_the_host_as_it_is(plain: RootedAgent) -> None:
    logs = archive()
    assert plain.session.host.put_log(logs).status == 200
    assert plain.fabric.world.received.logs == [logs]
    (request,) = plain.fabric.journal.entries("hgap.vmagentlog")
    names = [name.lower() for name, _ in request.headers]
    assert names == [
        "host",
        "accept-encoding",
        "content-length",
        "x-ms-version",
        "x-ms-containerid",
        "x-ms-vmagentlog-deploymentid",
        "x-ms-client-name",
        "x-ms-client-version",
        "x-ms-client-correlationid",
        "connection",
        "user-agent",
    ]


def test_log_archive_is_lost_when_we_moved_and_nobody_asks_for_the_goal_state(
    plain: RootedAgent,
) -> None:
    plain.fabric.fault("hgap.vmagentlog", "GONE")
    since = plain.now
    with pytest.raises(HttpError, match=r"^HostGAPlugin: Upload VM logs failed: \[ResourceGone"):
        plain.session.host.put_log(archive())
    assert plain.requests("wire.goalstate", since) == 0
    assert plain.requests("hgap.vmagentlog", since) == 1


def test_log_archive_needs_a_plugin_that_can_be_used(plain: RootedAgent) -> None:
    plain.start()
    plain.fabric.fault("hgap.versions", "NOT_FOUND")
    with pytest.raises(ProtocolFault, match="Host plugin channel is not available"):
        plain.session.host.put_log(archive())
    assert plain.requests("hgap.vmagentlog") == 0
