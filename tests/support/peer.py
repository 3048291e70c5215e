"""A peer on loopback that answers requests exactly as a test says, also badly; and its TLS."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable, Optional

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")

Answer = Callable[[socket.socket], None]


class Peer:
    """Listens on a port of its own; ``requests`` are the bytes of what came, head and body."""

    def __init__(self, answer: Answer, tls: Optional[ssl.SSLContext] = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server((LOOPBACK, 0))
        self._thread = threading.Thread(target=self._serve, name="peer", daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return LOOPBACK, self.port

    def url(self, rest: str = "/") -> str:
        """A URL that leads here."""
        return f"http://{LOOPBACK}:{self.port}{rest}"

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with contextlib.suppress(OSError), self._prepared(connection) as channel:
                self.requests.append(read_request(channel))
                self._answer(channel)

    @contextlib.contextmanager
    def _prepared(self, connection: socket.socket) -> Iterator[socket.socket]:
        with connection:
            connection.settimeout(PATIENCE_S)
            if self._tls is None:
                yield connection
                return
            with self._tls.wrap_socket(connection, server_side=True) as channel:
                yield channel


def read_request(channel: socket.socket) -> bytes:
    """One request, with its body if it says that it has one."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(channel)
    length = LENGTH.search(data)
    size = data.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(data) < size:
        data += _some(channel)
    return data


def _some(channel: socket.socket) -> bytes:
    data = channel.recv(65536)
    if not data:
        raise ConnectionError("the client left in the middle of a request")
    return data


def sends(*pieces: bytes) -> Answer:
    """These bytes, then the end of the connection."""

    def answer(channel: socket.socket) -> None:
        for piece in pieces:
            channel.sendall(piece)

    return answer


def whole(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """An answer as it should be."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def resets(channel: socket.socket) -> None:
    """End the connection with a reset in the middle of the answer."""
    channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_nothing(channel: socket.socket) -> None:
    """Wait until the client gives up."""
    channel.recv(1)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def make_certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A new authority's own certificate for a host name, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    authority = folder / f"{name}.pem"
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = folder / f"{name}.server.pem"
    both.write_bytes(
        authority.read_bytes()
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return authority, context
