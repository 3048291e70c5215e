"""Two ways to storage, direct and through the host: downloads take the one that worked last.

Source: spec WIRE 6.3 (channel selection, several URIs).
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO, Callable, NoReturn, Optional, TypeVar, cast
from urllib.parse import urlsplit

from waagent.core import files
from waagent.core.errors import (
    AgentError,
    GuestError,
    HttpError,
    HttpStatus,
    RequestStopped,
    find_disk_trouble,
)
from waagent.core.events import Op
from waagent.core.http import Request, Response
from waagent.core.redact import without_query
from waagent.protocol.documents.names import shown
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.exchange import find_sample
from waagent.protocol.host import Ways
from waagent.protocol.hostplugin import HostIdentity

log = logging.getLogger(__name__)
T = TypeVar("T")

ALL_URIS_S = 300.0
MOST_URIS = 32
DIRECT = "Direct"
HOST = "HostGAPlugin"
HOST_ARTIFACT = "GuestAgentPluginArtifact"
SOURCE = "WireClient"


class DownloadError(HttpError):
    """Nothing could be had from any URI."""

    label = "ExtensionDownloadError"


class Channels:
    """Downloads from storage; remembers which channel and which manifest were good."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._lock = threading.Lock()
        self._primary = DIRECT
        self._manifest_url: Optional[str] = None
        self.verify_artifacts = False  # true while the extensions come by fast track

    def fetch_text(self, uris: Sequence[str], what: str) -> bytes:
        """A manifest, from the first URI that gives it; the host is told of it with packages."""
        data, uri = self._first(uris, what, self._fetch_body)
        with self._lock:
            self._manifest_url = uri
        return data

    def fetch_profile(self, url: str) -> bytes:
        """The artifacts profile: one URI, never verified."""
        return self._either(url, lambda channel: self._body(channel, url, verify=False))

    def fetch_package(self, uris: Sequence[str], target: Path, use: Callable[[Path], None]) -> None:
        """Stream a package to ``target`` and call ``use`` on it; then ``target`` is removed.

        When ``use`` raises an ``AgentError`` the next URI is tried; a disk that does not take the
        package is an ``OSError`` at once.
        """

        def fetch(uri: str) -> None:
            try:
                with _create(target) as stream:
                    sink = cast(BinaryIO, _Sink(stream))
                    self._either(uri, lambda channel: self._stream(channel, uri, sink))
                use(target)
            finally:
                files.remove(target)

        try:
            self._first(uris, target.name, fetch)
        except _StoreFailed as failed:
            raise failed.error from failed

    def _fetch_body(self, uri: str) -> bytes:
        return self._either(
            uri, lambda channel: self._body(channel, uri, verify=self.verify_artifacts)
        )

    def _first(self, uris: Sequence[str], what: str, fetch: Callable[[str], T]) -> tuple[T, str]:
        shuffled = list(uris)
        random.shuffle(shuffled)
        clock = self._ways.clock
        deadline = clock.monotonic() + ALL_URIS_S
        last: Optional[AgentError] = None
        for uri in shuffled[:MOST_URIS]:
            if clock.monotonic() > deadline:
                raise DownloadError(f"Timeout downloading {what} after {ALL_URIS_S:g} s")
            try:
                return fetch(uri), uri
            except (_StoreFailed, RequestStopped):
                raise
            except AgentError as error:
                log.info("Cannot use %s for %s: %s", without_query(uri), what, error)
                last = error
                if find_disk_trouble(error) is not None:
                    break  # no other URI has a smaller one
        why = last.for_fabric() if last else "the goal state names no URI"
        raise DownloadError(f"Failed to download {what} from all URIs. Last error: {why}") from last

    def _either(self, url: str, fetch: Callable[[str], T]) -> T:
        """By the channel that worked last, else by the other, which then is the first choice.

        What is no address of the web is refused here: the host would go round in circles with it.
        """
        if not _is_web_address(url):
            raise ProtocolFault(f"cannot download from {shown(without_query(url))}: it is no URL")
        with self._lock:
            primary = self._primary
        other = HOST if primary == DIRECT else DIRECT
        try:
            return fetch(primary)
        except (_StoreFailed, RequestStopped):
            raise
        except AgentError as error:
            first = error
        try:
            fetched = fetch(other)
        except RequestStopped:
            raise
        except AgentError as second:
            raise HttpError(
                "Download failed both on the primary and fallback channels. "
                f"Primary: [{first.for_fabric()}] Fallback: [{second.for_fabric()}]",
                method="GET",
                url=without_query(url),
            ) from second
        with self._lock:
            self._primary = other
        name = "HostGAPlugin" if other == HOST else "Direct"
        message = f"Default channel changed to {name} channel."
        log.info("%s", message)
        self._ways.events.add(Op.DEFAULT_CHANNEL_CHANGE, message)
        return fetched

    def _body(self, channel: str, url: str, *, verify: bool) -> bytes:
        if channel == DIRECT:
            return self._direct(url).body
        return self._through_host(
            url,
            lambda identity: self._ways.host.plugin.fetch_artifact(identity, url, verify=verify),
        ).body

    def _stream(self, channel: str, url: str, sink: BinaryIO) -> None:
        if channel == DIRECT:
            self._direct(url, sink)
            return
        with self._lock:
            manifest_url = self._manifest_url
        self._through_host(
            url,
            lambda identity: self._ways.host.plugin.fetch_artifact(
                identity, url, manifest_url=manifest_url, verify=self.verify_artifacts, sink=sink
            ),
        )

    def _direct(self, url: str, sink: Optional[BinaryIO] = None) -> Response:
        try:
            return self._ways.exchange.send(Request("GET", url, via_proxy=True), sink=sink)
        except HttpError as error:
            self._refuse(url, error)

    def _through_host(self, url: str, ask: Callable[[HostIdentity], Response]) -> Response:
        host, observe = self._ways.host, self._ways.observe
        host.ensure_available()
        try:
            response = host.with_identity(ask)
        except HttpError as error:
            sample = find_sample(error)
            if sample is not None:
                observe(HOST_ARTIFACT, sample, SOURCE, error.message)
            self._refuse(url, error)
        observe(HOST_ARTIFACT, True, SOURCE, "")
        return response

    def _refuse(self, url: str, error: HttpError) -> NoReturn:
        """Raise the error as the portal shows it; the fabric is told of it too."""
        if isinstance(error, RequestStopped):
            raise error
        told: AgentError = error
        if isinstance(error, HttpStatus) and "attempts" not in error.facts:
            told = ProtocolFault(f"Fetch failed from [{without_query(url)}]: {error.message}")
            told.__cause__ = error
        message = f"Fetch failed: {told.for_fabric()}"
        self._ways.events.add(Op.HTTP_GET, message, success=False, quiet=True)
        raise told


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


class _StoreFailed(GuestError):
    """The disk does not take a download: neither another attempt nor another way would help."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot store the download: {error}")
        self.error = error


class _Sink:
    """A file that is downloaded to, whose faults are told from those of the network."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def truncate(self) -> int:
        return self._stream.truncate()

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise _StoreFailed(error) from error
        return len(data)


def _create(path: Path) -> IO[bytes]:
    """A new file, 0600 from its creation; one that lies there, or a link, has to go before."""
    files.remove(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, files.SECRET), "w+b", buffering=0)
