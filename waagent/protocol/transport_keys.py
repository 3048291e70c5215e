"""The transport key: made beside all else, since a slow machine needs many seconds for it.

It is made anew for each machine, and where the one at hand is older than ``KEEP_S``; a restart
goes on with what it has. Source: spec WIRE 5.1, 1.5; docs/parity.md.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Optional

from waagent.core import files
from waagent.core.clock import Clock
from waagent.core.paths import Paths
from waagent.protocol.bundle import Bundle

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEEP_S = 30 * 86400.0


class TransportKeys:
    """The key and its certificate in the lib dir. One thread uses this object."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        self._paths = paths
        self._clock = clock
        self._making: Optional[Future[RSAPrivateKey]] = None

    def can_stay(self) -> bool:
        """Whether there are keys that are good for longer; a clock that is wrong says no.

        The certificate is written last: where it is, the key that belongs to it is too.
        """
        try:
            made = self._paths.transport_cert.stat().st_mtime
            is_whole = self._paths.transport_private.is_file()
        except OSError:
            return False
        age_s = (self._clock.now() - datetime.fromtimestamp(made, timezone.utc)).total_seconds()
        return is_whole and 0 <= age_s < KEEP_S

    def begin(self) -> None:
        """Make new keys in a thread, once."""
        if self._making is None:
            pool = ThreadPoolExecutor(1)
            self._making = pool.submit(make_transport_keys, self._paths, self._clock)
            pool.shutdown(wait=False)

    def finish(self) -> None:
        """Wait for the keys, if new ones are made; raises what has gone wrong with them.

        A failure is not final: the next ``begin`` tries again.
        """
        if self._making is None:
            return
        try:
            self._making.result()
        except BaseException:
            self._making = None
            raise

    def open_certificates(self, data: bytes) -> Bundle:
        """An ``Opener``. A key of our own making need not be read and checked again."""
        from waagent.protocol.envelope import open_certificates

        if self._making is None:
            return open_certificates(data, files.read(self._paths.transport_private))
        return open_certificates(data, self._making.result())


def make_transport_keys(paths: Paths, clock: Clock) -> RSAPrivateKey:
    """Write a new transport key and certificate (spec WIRE 5.1): the fabric pins neither."""
    from waagent.protocol.transport import make_transport_certificate, make_transport_key

    key = make_transport_key()
    private, certificate = make_transport_certificate(clock.now(), key)
    files.remove(paths.transport_cert)  # so that it never stands beside another's key
    files.write(paths.transport_private, private, mode=files.SECRET)
    files.write(paths.transport_cert, certificate, mode=files.SECRET)
    return key
