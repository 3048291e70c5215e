"""A request, an answer, and the way a service says that a client broke the protocol."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Optional, Protocol
from urllib.parse import unquote


@dataclass(frozen=True)
class Request:
    """One HTTP request as it arrived; `complaints` collects what is wrong with it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    complaints: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split("?", 1)[0]

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """Name and value pairs, decoded; a plus sign stays one, as in a SAS signature."""
        raw = self.target.partition("?")[2]
        pairs = (part.partition("=") for part in raw.split("&") if part)
        return tuple((unquote(name), unquote(value)) for name, _, value in pairs)

    def argument(self, name: str) -> Optional[str]:
        """The first value of a query argument."""
        return next((value for key, value in self.query if key == name), None)

    def header(self, name: str) -> Optional[str]:
        """The first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def host(self) -> str:
        """The Host header as sent, with the port if one was given."""
        return self.header("Host") or ""

    @property
    def url(self) -> str:
        """The URL that the client meant."""
        return self.target if "://" in self.target else f"http://{self.host}{self.target}"

    def complain(self, sentence: str) -> None:
        """Record that something is wrong, but go on."""
        self.complaints.append(sentence)


@dataclass(frozen=True)
class Answer:
    """What goes back; the server adds the length and the date."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """The real fabric would refuse this request; `why` is the violation, None if it is none."""

    def __init__(self, answer: Answer, why: Optional[str]) -> None:
        super().__init__(why)
        self.answer = answer
        self.why = why


def bad_request(why: str, code: str = "BadRequest", status: int = 400) -> Refused:
    """The refusal of a request that breaks the protocol."""
    body = f'{{ "errorCode": "{code}", "message": "Invalid request." }}'.encode()
    return Refused(Answer(status, body, "application/json"), why)


def gone() -> Refused:
    """The refusal of a request about something that was right until a moment ago."""
    body = b'{ "errorCode": "RequestRoleConfigFileNotFound", "message": "It is gone." }'
    return Refused(Answer(410, body, "application/json"), None)


class Route(NamedTuple):
    """Where a request goes: the endpoint's name in the journal, and who answers."""

    endpoint: str
    answer: Callable[[Request], Answer]


class Service(Protocol):
    """One of the fabric's servers."""

    name: str

    def route(self, request: Request) -> Optional[Route]:
        """Who answers a request; None when nobody expects it."""


def need_method(request: Request, *methods: str) -> None:
    """Refuse any other method."""
    if request.method not in methods:
        raise bad_request(f"the method must be {' or '.join(methods)}", "BadMethod", 405)


def need_header(request: Request, name: str, one_of: Sequence[str] = ()) -> str:
    """The value of a header without which the request is refused."""
    value = request.header(name)
    if value is None:
        raise bad_request(f"the header {name} is missing")
    if one_of and value not in one_of:
        raise bad_request(f"the header {name} is {value!r} and not {' or '.join(one_of)}")
    return value


def need_uuid(request: Request, name: str) -> str:
    """The value of a header that has to be a UUID."""
    value = need_header(request, name)
    try:
        uuid.UUID(value)
    except ValueError:
        raise bad_request(f"the header {name} is no UUID: {value!r}") from None
    return value


def need_no_body(request: Request) -> None:
    """Complain of a body where none belongs."""
    if request.body:
        request.complain(f"a {request.method} to this address has no body")


def need_content_type(request: Request, wanted: str) -> None:
    """Refuse a body of another media type; parameters such as the charset are free."""
    value = need_header(request, "Content-Type").split(";")[0].strip().lower()
    if value != wanted:
        raise bad_request(f"the content type is {value!r} and not {wanted!r}", status=415)
