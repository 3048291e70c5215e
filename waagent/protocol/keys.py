"""Keys and certificates as files, where extensions and other software expect them.

What opens them is ``opener.py``; our own key is the business of ``transport_keys.py``. Every key
is 0600 from its creation. Source: spec WIRE 5, CLI 3.1.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Callable, Optional

from waagent.core import files
from waagent.core.errors import AgentError, CryptoError, describe
from waagent.core.events import Events, Op
from waagent.core.paths import Paths
from waagent.core.records import dataclass
from waagent.protocol.bundle import Opener
from waagent.protocol.documents.certificates import parse_certificates
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.wire import CIPHERS, Wire, one_line_certificate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CertificateSummary:
    """What is known of one certificate of the goal state; never the key itself."""

    thumbprint: str
    has_private_key: bool

    def as_python(self) -> str:
        """The form that log lines and events have always had."""
        return f"{{'thumbprint': '{self.thumbprint}', 'hasPrivateKey': {self.has_private_key}}}"


def read_transport_certificate(paths: Paths) -> str:
    """Our transport certificate on one line; ``ProtocolFault`` naming the file when unreadable."""
    try:
        return one_line_certificate(files.read_text(paths.transport_cert))
    except OSError as error:
        raise ProtocolFault(f"Failed to read {paths.transport_cert}: {error}") from error


class CertificateStore:
    """Fetches, opens and writes the goal state's certificates; a failure costs only them.

    ``stand_by`` tells what opens them that they are on their way, ``dismiss`` that none come.
    """

    def __init__(
        self,
        wire: Wire,
        paths: Paths,
        events: Events,
        open_sealed: Opener,
        *,
        stand_by: Optional[Callable[[], None]] = None,
        dismiss: Optional[Callable[[], None]] = None,
    ) -> None:
        self._wire = wire
        self._paths = paths
        self._events = events
        self._open = open_sealed
        self._stand_by = stand_by
        self._dismiss = dismiss

    @contextlib.contextmanager
    def expected(self) -> Iterator[None]:
        """There is a new goal state, whose certificates will be asked for soon, or not at all."""
        if self._stand_by is not None:
            self._stand_by()
        try:
            yield
        finally:
            if self._dismiss is not None:
                self._dismiss()

    def refresh(self, url: str) -> tuple[CertificateSummary, ...]:
        """Fetch by AES, then by 3DES; the summaries of what was written, empty on failure.

        Never raises: a goal state without certificates is better than none (WIRE 5.6).
        """
        try:
            certificate = read_transport_certificate(self._paths)
        except AgentError as error:
            self._complain(error)
            return ()
        last: Optional[AgentError] = None
        for cipher in CIPHERS:
            try:
                return self._fetch(url, certificate, cipher)
            except (AgentError, OSError) as error:
                log.warning("Cannot use the certificates by %s: %s", cipher, describe(error))
                last = error if isinstance(error, AgentError) else ProtocolFault(describe(error))
        if isinstance(last, CryptoError):
            self._distrust_own_key()
        if last is not None:
            self._complain(last)
        return ()

    def _distrust_own_key(self) -> None:
        """It may be damaged, or not the certificate's: as old as can be, it is made anew at the
        next start (``transport_keys.py``)."""
        with contextlib.suppress(OSError):
            os.utime(self._paths.transport_cert, (0, 0))

    def missing(self, summaries: Iterable[CertificateSummary]) -> tuple[str, ...]:
        """Thumbprints whose ``.crt`` is no longer on disk (WIRE 3.4)."""
        return tuple(
            each.thumbprint
            for each in summaries
            if not (self._paths.lib / f"{each.thumbprint}.crt").is_file()
        )

    def _fetch(self, url: str, certificate: str, cipher: str) -> tuple[CertificateSummary, ...]:
        raw = self._wire.fetch_sealed(url, certificate, cipher)
        sealed = parse_certificates(raw)
        lib = self._paths.lib
        files.write(lib / "Certificates.xml", raw, mode=files.SECRET)
        if sealed.text is None:
            return ()
        if sealed.data is None:
            log.warning('The certificates have the format "%s", which is not known', sealed.format)
            return ()
        files.write(
            lib / "Certificates.p7m",
            render_mime(lib / "Certificates.p7m", sealed.text),
            mode=files.SECRET,
        )
        bundle = self._open(sealed.data)
        for note in bundle.notes:
            log.warning("%s", note)
        together = b""
        summaries = []
        for pair in bundle.pairs:
            if pair.private_key_pem is not None:
                path = lib / f"{pair.thumbprint}.prv"
                files.write(path, pair.private_key_pem, mode=files.SECRET)
            files.write(lib / f"{pair.thumbprint}.crt", pair.certificate_pem, mode=files.SECRET)
            together += (pair.private_key_pem or b"") + pair.certificate_pem
            summaries.append(CertificateSummary(pair.thumbprint, pair.private_key_pem is not None))
        files.write(lib / "Certificates.pem", together, mode=files.SECRET)
        self._announce(summaries)
        return tuple(summaries)

    def _announce(self, summaries: Iterable[CertificateSummary]) -> None:
        for summary in summaries:
            text = f"Downloaded certificate {summary.as_python()}"
            log.info("%s", text)
            self._events.add(Op.GOAL_STATE_CERTIFICATES, text)

    def _complain(self, error: AgentError) -> None:
        self._events.add(
            Op.GOAL_STATE_CERTIFICATES,
            f"Error fetching the goal state certificates: {error.for_fabric()}",
            success=False,
        )


def render_mime(path: Path, text: str) -> str:
    """The wrapper that ``openssl cms -decrypt`` reads, for people who open it by hand."""
    return "\n".join(
        (
            "MIME-Version:1.0",
            f'Content-Disposition: attachment; filename="{path}"',
            f'Content-Type: application/x-pkcs7-mime; name="{path}"',
            "Content-Transfer-Encoding: base64",
            "",
            text,
        )
    )


def render_summaries(summaries: Iterable[CertificateSummary]) -> str:
    """``Certificates.json`` of the history (WIRE 3.10)."""
    return json.dumps(
        [
            {"thumbprint": each.thumbprint, "hasPrivateKey": each.has_private_key}
            for each in summaries
        ]
    )
