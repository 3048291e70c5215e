"""A transport that answers the requests a test declared, and fails the test for any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Optional, Union

import pytest

from waagent.core.errors import Garbled, HttpError, RequestStopped, Unreachable
from waagent.core.http import Request, Response

Reply = Union[Response, HttpError]


def answers(status: int = 200, body: bytes = b"", reason: str = "OK") -> Response:
    """An answer with a status and a body."""
    return Response(status, reason, {}, body)


def no_answer(url: str = "http://nowhere/") -> Unreachable:
    """The peer cannot be reached."""
    return Unreachable(
        f"[HTTP Failed] GET {url} -- IOError [Errno 111] Connection refused", method="GET", url=url
    )


def garbled(url: str = "http://nowhere/") -> Garbled:
    """The peer says something that is no whole answer."""
    return Garbled(
        f"[HTTP Failed] GET {url} -- HttpException the answer was cut short", method="GET", url=url
    )


def stopped(url: str = "http://nowhere/") -> RequestStopped:
    """The agent is told to stop before there is an answer."""
    text = f"cannot wait for the answer to GET {url}: the agent is told to stop"
    return RequestStopped(text, method="GET", url=url)


@dataclass
class ScriptedTransport:
    """Replies by method and URL; a list is used up one by one, a single reply never.

    ``sent`` are the requests in order.
    """

    script: dict[tuple[str, str], Union[Reply, Sequence[Reply]]]
    sent: list[Request] = field(default_factory=list)
    _given: dict[tuple[str, str], int] = field(default_factory=dict)

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """See ``waagent.core.http.Transport``."""
        self.sent.append(request)
        reply = self._reply((request.method, request.url))
        if isinstance(reply, HttpError):
            raise reply
        if sink is not None and reply.status in (200, 201, 202):
            sink.write(reply.body)
            return Response(reply.status, reply.reason, reply.headers)
        return reply

    def bodies(self, url: str) -> list[bytes]:
        """What was sent to a URL, in order."""
        return [request.body or b"" for request in self.sent if request.url == url]

    def _reply(self, key: tuple[str, str]) -> Reply:
        if key not in self.script:
            # Not an Exception: code that isolates errors must not be able to hide it.
            raise pytest.fail.Exception(f"a request was sent that nobody declared: {key}")
        replies = self.script[key]
        if isinstance(replies, (Response, HttpError)):
            return replies
        given = self._given.get(key, 0)
        if given >= len(replies):
            raise pytest.fail.Exception(f"{key} was sent {given + 1} times, declared {given}")
        self._given[key] = given + 1
        return replies[given]
