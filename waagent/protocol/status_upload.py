"""Where the status document goes: through the host, else direct (spec WIRE 7.4, 7.5)."""

from __future__ import annotations

import logging

from waagent.core.clock import Clock
from waagent.core.errors import AgentError, HttpError
from waagent.core.events import Events, Op
from waagent.core.http import Request
from waagent.protocol.documents.extensions import StatusBlob
from waagent.protocol.errors import InvalidContainer, ProtocolFault, StaleGoalState
from waagent.protocol.exchange import Exchange, find_sample
from waagent.protocol.host import Host, Observer
from waagent.protocol.storage import BlobRequest, plan_block_blob, plan_page_blob

log = logging.getLogger(__name__)

BLOCK_BLOB = "BlockBlob"
CREATED = frozenset({201})


class StatusUploader:
    """Writes the whole status blob, each time."""

    def __init__(
        self, exchange: Exchange, host: Host, events: Events, clock: Clock, observe: Observer
    ) -> None:
        self._exchange = exchange
        self._host = host
        self._events = events
        self._clock = clock
        self._observe = observe

    def put(self, blob: StatusBlob, body: bytes) -> bool:
        """Upload; ``False`` when the host says that we moved (the next turn's upload is good).

        Raises ``ProtocolFault`` when neither channel takes it.
        """
        try:
            self._put_through_host(blob, body)
        except InvalidContainer as error:
            self._fall_back(blob, body, error)
        except StaleGoalState:
            log.info("The container changed, this status is not uploaded")
            self._host.refresh()
            return False
        except AgentError as error:
            self._fall_back(blob, body, error)
        return True

    def _put_through_host(self, blob: StatusBlob, body: bytes) -> None:
        self._host.ensure_available()
        identity = self._host.identity
        for request in self._plan(blob, body, padding=b" "):
            try:
                self._host.plugin.put_status(identity, request)
            except HttpError as error:
                sample = find_sample(error)
                if sample is not None:
                    self._observe("GuestAgentPluginStatus", sample, "", error.message)
                raise
        self._observe("GuestAgentPluginStatus", True, "", "")

    def _fall_back(self, blob: StatusBlob, body: bytes, why: AgentError) -> None:
        message = f"Falling back to direct upload: {why.for_fabric()}"
        log.info("%s", message)
        self._events.add(Op.REPORT_STATUS, message)
        try:
            for request in self._plan(blob, body, padding=b"\0"):
                self._exchange.send(
                    Request("PUT", request.url, request.headers, request.body, via_proxy=True),
                    accept=CREATED,
                )
        except AgentError as error:
            raise ProtocolFault(
                "Failed to upload status blob via either channel: "
                f"{why.for_fabric()}; {error.for_fabric()}"
            ) from error

    def _plan(self, blob: StatusBlob, body: bytes, *, padding: bytes) -> tuple[BlobRequest, ...]:
        now = self._clock.now()
        if blob.type == BLOCK_BLOB:
            return plan_block_blob(blob.url, body, now)
        return plan_page_blob(blob.url, body, now, padding)
