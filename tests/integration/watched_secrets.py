"""A process that opens and writes certificates and keys, and looks at every file at every step.

It makes files as openly as it can (umask 0). Each audit event of Python, such as the one between
an open() and the chmod() or rename() after it, is a moment at which somebody else could look. It
prints what somebody could have read, and how many files were seen.
"""

from __future__ import annotations

import base64
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from tests.fabric.certificates import envelope, issue, pfx, tenant_certificate
from waagent.core.clock import SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.conf import Conf
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.protocol.keys import CertificateStore
from waagent.protocol.opener import open_in_process
from waagent.protocol.transport_keys import make_transport_keys
from waagent.protocol.wire import Wire


class Watch:
    """Looks at a folder whenever anything happens in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._is_looking = False
        self.seen: set[str] = set()
        self.open_to_others: set[str] = set()
        self.is_on = True

    def look(self, _event: str, _arguments: Sequence[Any]) -> None:
        """See ``sys.addaudithook``; what it does itself is no event."""
        if self._is_looking or not self.is_on:
            return
        self._is_looking = True
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    self._note(entry)
        finally:
            self._is_looking = False

    def _note(self, entry: os.DirEntry[str]) -> None:
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISREG(state.st_mode):
            self.seen.add(entry.name)
            if state.st_mode & 0o077:
                self.open_to_others.add(f"{entry.name} {state.st_mode & 0o777:o}")


class SealedWire:
    """Serves what it was given, as the certificates document."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    def fetch_sealed(self, _url: str, _certificate: str, _cipher: str) -> bytes:
        """See ``Wire.fetch_sealed``."""
        return self._document


def main(root: Path, *, carelessly: bool) -> int:
    """Make a transport key, then have certificates come twice; how that looked from beside."""
    clock = SystemClock()
    paths = make_paths(System(root, ProcessRunner({}), clock), Conf())
    paths.lib.mkdir(parents=True)
    os.umask(0)
    watch = Watch(paths.lib)
    sys.addaudithook(watch.look)
    make_transport_keys(paths, clock)
    recipient = x509.load_pem_x509_certificate(paths.transport_cert.read_bytes())
    for _ in range(2):
        content = pfx((tenant_certificate(), issue("of a vault", "vault"), issue("o", "o")))
        sealed = base64.encodebytes(envelope(content, recipient)).decode()
        document = f"<CertificateFile><Data>{sealed}</Data></CertificateFile>".encode()
        store = CertificateStore(
            cast(Wire, SealedWire(document)),
            paths,
            Events(root / "events", clock),
            open_in_process(paths.transport_private),
        )
        assert len(store.refresh("/certificates")) == 3
    if carelessly:
        (paths.lib / "careless.prv").write_text("a key", encoding="ascii")
        (paths.lib / "careless.prv").chmod(0o600)
    watch.is_on = False
    print("\n".join(sorted(watch.open_to_others)), file=sys.stderr)
    print(len(watch.seen))
    return 1 if watch.open_to_others else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), carelessly="carelessly" in sys.argv))
