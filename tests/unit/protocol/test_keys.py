"""Keys and certificates as files: their names, contents and modes (WIRE 5)."""

from __future__ import annotations

import contextlib
import json
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from waagent.core.conf import Conf
from waagent.core.errors import CryptoError
from waagent.core.events import Events
from waagent.core.paths import Paths, make_paths
from waagent.core.system import System
from waagent.protocol.bundle import Bundle
from waagent.protocol.errors import ProtocolFault
from waagent.protocol.keys import (
    CertificateStore,
    CertificateSummary,
    read_transport_certificate,
    render_mime,
    render_summaries,
)
from waagent.protocol.transport_keys import TransportKeys, make_transport_keys

if TYPE_CHECKING:
    from waagent.protocol.wire import Wire


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A lib dir."""
    found = make_paths(System(tmp_path, ScriptedRunner({}), ManualClock()), Conf())
    found.lib.mkdir(parents=True)
    return found


def test_certificate_is_one_line_of_base64_for_the_header(paths: Paths) -> None:
    make_transport_keys(paths, ManualClock())
    line = read_transport_certificate(paths)
    assert "-" not in line
    assert len(line.split()) == 1
    pem = f"-----BEGIN CERTIFICATE-----\n{line}\n-----END CERTIFICATE-----\n"
    x509.load_pem_x509_certificate(pem.encode())


def test_lines_that_openssl_writes_before_a_certificate_do_not_matter(paths: Paths) -> None:
    paths.transport_cert.write_text(
        "-----BEGIN CERTIFICATE-----\r\nAAAA\r\nBBBB\r\n-----END CERTIFICATE-----\r\n"
    )
    assert read_transport_certificate(paths) == "AAAABBBB"


def test_missing_transport_certificate_is_named(paths: Paths) -> None:
    with pytest.raises(ProtocolFault, match=f"Failed to read {paths.transport_cert}"):
        read_transport_certificate(paths)


def test_wrapper_is_what_openssl_takes_for_a_message(tmp_path: Path) -> None:
    path = tmp_path / "Certificates.p7m"
    text = render_mime(path, "QUJD\nREVG")
    assert text.splitlines() == [
        "MIME-Version:1.0",
        f'Content-Disposition: attachment; filename="{path}"',
        f'Content-Type: application/x-pkcs7-mime; name="{path}"',
        "Content-Transfer-Encoding: base64",
        "",
        "QUJD",
        "REVG",
    ]


def test_summary_has_the_form_that_people_know() -> None:
    one = CertificateSummary("A" * 40, has_private_key=True)
    assert one.as_python() == f"{{'thumbprint': '{'A' * 40}', 'hasPrivateKey': True}}"
    assert json.loads(render_summaries([one])) == [{"thumbprint": "A" * 40, "hasPrivateKey": True}]


def test_openssl_takes_our_transport_certificate_for_a_recipient(paths: Paths) -> None:
    make_transport_keys(paths, ManualClock())
    sealed = subprocess.run(
        ["openssl", "cms", "-encrypt", "-outform", "DER", "-keyid", str(paths.transport_cert)],
        input=b"to the guest",
        capture_output=True,
        check=True,
    ).stdout
    opened = subprocess.run(
        [
            "openssl", "cms", "-decrypt", "-inform", "DER", "-inkey",
            str(paths.transport_private), "-recip", str(paths.transport_cert),
        ],
        input=sealed,
        capture_output=True,
        check=True,
    ).stdout  # fmt: skip
    assert opened.strip() == b"to the guest"


class SealedWire:
    """Serves one certificates document."""

    def fetch_sealed(self, _url: str, _certificate: str, _cipher: str) -> bytes:
        known = b"<Format>Pkcs7BlobWithPfxContents</Format><Data>AAAA</Data>"
        return b"<CertificateFile>" + known + b"</CertificateFile>"


def cannot_open(_data: bytes) -> Bundle:
    raise CryptoError("cannot open the certificates: they are for somebody else")


def test_own_key_is_made_anew_at_the_next_start_when_nothing_can_be_opened_with_it(
    paths: Paths,
) -> None:
    clock = ManualClock(datetime.now(timezone.utc) + timedelta(minutes=1))
    make_transport_keys(paths, clock)
    assert TransportKeys(paths, clock).can_stay()
    wire = cast("Wire", SealedWire())
    store = CertificateStore(wire, paths, Events(paths.events, clock), cannot_open)
    assert store.refresh("/certificates") == ()
    assert not TransportKeys(paths, clock).can_stay()


def test_what_stands_by_is_dismissed_when_no_certificates_came(paths: Paths) -> None:
    said: list[str] = []
    store = CertificateStore(
        cast("Wire", SealedWire()),
        paths,
        Events(paths.events, ManualClock()),
        cannot_open,
        stand_by=lambda: said.append("stand by"),
        dismiss=lambda: said.append("dismiss"),
    )
    with contextlib.suppress(CryptoError), store.expected():
        raise CryptoError("the fabric is gone")
    assert said == ["stand by", "dismiss"]
