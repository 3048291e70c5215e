"""The shared config of this moment, asked of the wire server that this start has found."""

from __future__ import annotations

import logging

from waagent.core import files
from waagent.core.context import Context
from waagent.protocol.documents.shared_config import SharedConfig, parse_shared_config
from waagent.protocol.exchange import Exchange
from waagent.protocol.network import make_transport
from waagent.protocol.saved_endpoint import KNOWN_ENDPOINT, find_saved
from waagent.protocol.wire import Wire

log = logging.getLogger(__name__)


def fetch_shared_config(context: Context) -> SharedConfig:
    """Two requests; the document is also left in the lib dir, where others read it (WIRE 3.6)."""
    clock = context.system.clock
    endpoint = find_saved(context) or KNOWN_ENDPOINT
    exchange = Exchange(make_transport(context), clock, endpoint=endpoint, stop=context.stop)
    wire = Wire(exchange, endpoint, clock)
    goal_state, _ = wire.fetch_goal_state()
    raw = wire.fetch_document(goal_state.shared_config_url or "")
    try:
        files.write(context.paths.lib / "SharedConfig.xml", raw)
    except OSError as error:
        log.warning("Cannot write SharedConfig.xml: %s", error.strerror)
    return parse_shared_config(raw)
