"""Where the daemon's search for the wire server has left what it found (WIRE 1.3, 1.4)."""

from __future__ import annotations

import logging
import re
from typing import Optional

from waagent.core import files
from waagent.core.context import Context

log = logging.getLogger(__name__)

KNOWN_ENDPOINT = "168.63.129.16"
PROTOCOL = "WireProtocol"
_ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,253}")


def clean(context: Context) -> None:
    """Forget where the fabric was: the disk may have moved between environments (WIRE 1.3)."""
    log.info("Clean protocol and wireserver endpoint")
    for path in (context.paths.endpoint, context.paths.protocol):
        try:
            files.remove(path)
        except OSError as error:
            log.warning("Cannot remove %s: %s", path, error)


def save(context: Context, endpoint: str) -> None:
    """Leave the endpoint for the child, and for other software."""
    files.write(context.paths.endpoint, endpoint)
    files.write(context.paths.protocol, PROTOCOL)


def find_saved(context: Context) -> Optional[str]:
    """The endpoint that the daemon's detection left behind, or ``None`` to detect anew.

    A protocol without a readable endpoint means the well-known address (WIRE 1.4).
    """
    if files.read_if_there(context.paths.protocol) != PROTOCOL:
        return None
    saved = (files.read_if_there(context.paths.endpoint) or "").strip()
    if _ADDRESS.fullmatch(saved):
        log.info("WireServer endpoint %s read from file", saved)
        return saved
    what = "Damaged" if saved else "Missing"
    log.error("[GetWireserverEndpoint] %s file %s", what, context.paths.endpoint)
    log.info("Using hardcoded Wireserver endpoint %s", KNOWN_ENDPOINT)
    return KNOWN_ENDPOINT
