"""The fabric's DHCP server on one interface: an address, routes, and where the wire server is.

Alone: `python -m tests.fabric.dhcp INTERFACE`, best in a network namespace of its own.
"""

from __future__ import annotations

import argparse
import ipaddress
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Optional

from tests.fabric.dhcp_packets import (
    ACK,
    DECLINE,
    DISCOVER,
    INFORM,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    REQUESTED_IP,
    SERVER,
    BadMessage,
    HostRoute,
    Lease,
    Message,
    parse_message,
    render_reply,
)
from tests.fabric.journal import Entry, Journal

SERVER_PORT, CLIENT_PORT = 67, 68
LARGEST = 1500
NOBODY = "0.0.0.0"


def choose_reply(lease: Lease, message: Message) -> Optional[int]:
    """The kind of answer that a message gets; None is silence."""
    if message.kind == DISCOVER:
        return OFFER
    if message.kind == INFORM:
        return ACK
    if message.kind in (DECLINE, RELEASE):
        return None
    chosen = message.address(SERVER)
    if chosen is not None and chosen != lease.server:
        return None  # the client took another server's offer
    wanted = message.address(REQUESTED_IP) or message.client_address
    return ACK if message.kind == REQUEST and wanted == lease.address else NAK


class DhcpServer:
    """Answers on one interface and writes the journal; `lease` may be replaced while it runs.

    A bad message, and one that breaks RFC 2131, is a complaint in the journal.
    """

    def __init__(self, interface: str, lease: Lease, journal: Journal) -> None:
        self.lease = lease
        self._journal = journal
        self._socket = _open_socket(interface)
        self._reader, self._writer = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="dhcp", daemon=True)

    def start(self) -> DhcpServer:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the socket once the message at hand is answered."""
        self._writer.close()
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()
        self._reader.close()

    def __enter__(self) -> DhcpServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, data: bytes) -> Optional[tuple[bytes, str]]:
        """The datagram that answers one, and where it goes; the journal has both."""
        lease = self.lease
        try:
            message = parse_message(data)
        except BadMessage as e:
            self._write("BAD", "dhcp://unknown", data, complaints=(str(e),), answer=400)
            return None
        kind = choose_reply(lease, message)
        reply = b"" if kind is None else render_reply(lease, message, kind)
        mac = ":".join(f"{byte:02x}" for byte in message.mac)
        self._write(
            message.name,
            f"dhcp://{mac}/{message.hostname or ''}",
            data,
            complaints=message.complaints,
            answer={None: 204, NAK: 409}.get(kind, 200),
            answer_body=reply,
        )
        known = message.client_address != NOBODY and kind != NAK
        return (reply, message.client_address if known else "<broadcast>") if reply else None

    def _write(
        self,
        name: str,
        url: str,
        data: bytes,
        *,
        complaints: tuple[str, ...],
        answer: int,
        answer_body: bytes = b"",
    ) -> None:
        self._journal.add(
            endpoint="dhcp",
            method=name,
            url=url,
            headers=(),
            body=data,
            answer=answer,
            answer_body=answer_body,
            complaints=complaints,
        )

    def _serve(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._socket, selectors.EVENT_READ)
            waiting.register(self._reader, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in waiting.select()]
                if self._reader in ready:
                    return
                outgoing = self.answer(self._socket.recv(LARGEST))
                if outgoing is not None:
                    self._send(*outgoing)

    def _send(self, data: bytes, address: str) -> None:
        try:
            self._socket.sendto(data, (address, CLIENT_PORT))
        except OSError as e:  # the link is down: the client asks again
            print(f"Cannot send a DHCP answer: {e}", file=sys.stderr)


def _open_socket(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    opened.bind(("", SERVER_PORT))
    return opened


def describe(entry: Entry) -> str:
    """One line of the journal for people."""
    end = "".join(f" !! {complaint}" for complaint in entry.complaints)
    return f"{entry.method} {entry.url} {entry.answer}{end}"


def parse_arguments(argv: Sequence[str]) -> tuple[str, Lease]:
    """The interface and the lease that a command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fabric.dhcp", description=__doc__)
    parser.add_argument("interface")
    parser.add_argument("--address", default="10.0.0.4/24", help="the guest's address and prefix")
    parser.add_argument("--router", default="10.0.0.1")
    parser.add_argument("--wire-server", default="168.63.129.16", help="option 245; '' for none")
    parser.add_argument("--lease-s", type=int, default=Lease().lease_s)
    options = parser.parse_args(argv)
    guest = ipaddress.IPv4Interface(options.address)
    hosts = ("168.63.129.16/32", "169.254.169.254/32")
    lease = Lease(
        address=str(guest.ip),
        prefix=guest.network.prefixlen,
        router=options.router or None,
        wire_server=options.wire_server or None,
        lease_s=options.lease_s,
        routes=tuple(HostRoute(h, options.router) for h in hosts) if options.router else (),
    )
    return options.interface, lease


def main(argv: Sequence[str]) -> int:
    """Serve until a signal; the code is 1 when a client broke the protocol."""
    interface, lease = parse_arguments(argv)
    journal = Journal(lambda entry: print(describe(entry), flush=True))
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    with DhcpServer(interface, lease, journal):
        print(f"Serving DHCP on {interface}: {lease.address}", flush=True)
        signal.sigwait((signal.SIGINT, signal.SIGTERM))
    return 1 if journal.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
