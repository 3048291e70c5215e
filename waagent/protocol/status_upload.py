"""Where the status document goes: through the host, else direct (spec WIRE 7.4, 7.5)."""

from __future__ import annotations

import logging

from waagent.core.errors import AgentError, HttpError, HttpStatus, RequestStopped
from waagent.core.events import Op
from waagent.core.http import Request
from waagent.core.log import Quietly
from waagent.protocol.documents.extensions import StatusBlob
from waagent.protocol.errors import InvalidContainer, ProtocolFault, StaleGoalState
from waagent.protocol.exchange import find_sample
from waagent.protocol.host import Ways
from waagent.protocol.storage import BlobRequest, plan_block_blob, plan_page_blob

log = logging.getLogger(__name__)

BLOCK_BLOB = "BlockBlob"
HOST_STATUS = "GuestAgentPluginStatus"
CREATED = frozenset({201})
THROUGH_HOST = "through the host"
DIRECT = "direct"


class StatusUploader:
    """Writes the whole status blob, each time."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._quietly = Quietly(ways.clock)
        self.last_way = THROUGH_HOST
        self._has_moved = False

    def put(self, blob: StatusBlob, body: bytes) -> bool:
        """Upload; ``False`` when the host says that we moved (the next turn's upload is good).

        When it says so again the status goes direct: nobody knows how long it will.
        Raises ``ProtocolFault`` when neither channel takes it, ``RequestStopped`` as it is.
        """
        try:
            self._put_through_host(blob, body)
            self._has_moved = False
            self.last_way = THROUGH_HOST
        except InvalidContainer as error:
            self._fall_back(blob, body, error)
        except StaleGoalState as error:
            if self._has_moved:  # we learned who we are, and the host still does not know us
                self._fall_back(blob, body, error)
                return True
            self._has_moved = True
            text = "The container changed, this status is not uploaded"
            if self._quietly.may_say(text):
                log.info("%s", text)
            self._ways.host.refresh()
            return False
        except RequestStopped:
            raise
        except AgentError as error:
            self._fall_back(blob, body, error)
        return True

    def _put_through_host(self, blob: StatusBlob, body: bytes) -> None:
        host, observe = self._ways.host, self._ways.observe
        host.ensure_available()
        identity = host.identity
        for request in self._plan(blob, body, padding=b" "):
            try:
                host.plugin.put_status(identity, request)
            except StaleGoalState:
                raise
            except HttpStatus as error:
                sample = find_sample(error)
                if sample is None:
                    raise
                observe(HOST_STATUS, sample, "", error.message)
                text = f"{request.complaint}: {error.message}"
                raise HttpError(text, method=error.method, url=error.url) from error
        observe(HOST_STATUS, True, "", "")

    def _fall_back(self, blob: StatusBlob, body: bytes, why: AgentError) -> None:
        message = f"Falling back to direct upload: {why.for_fabric()}"
        if self._quietly.may_say(message):  # an outage is told once an hour, not every six seconds
            log.info("%s", message)
        self._ways.events.add(Op.REPORT_STATUS, message)
        try:
            for request in self._plan(blob, body, padding=b"\0"):
                self._ways.exchange.send(
                    Request("PUT", request.url, request.headers, request.body, via_proxy=True),
                    accept=CREATED,
                )
            self.last_way = DIRECT
        except RequestStopped:
            raise
        except AgentError as error:
            raise ProtocolFault(
                "Failed to upload status blob via either channel: "
                f"{why.for_fabric()}; {error.for_fabric()}"
            ) from error

    def _plan(self, blob: StatusBlob, body: bytes, *, padding: bytes) -> tuple[BlobRequest, ...]:
        now = self._ways.clock.now()
        if blob.type == BLOCK_BLOB:
            return plan_block_blob(blob.url, body, now)
        return plan_page_blob(blob.url, body, now, padding)
