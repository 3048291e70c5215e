"""Our DHCP request over links of the test's own: who is asked, what counts, and when it ends."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.support.clock import ManualClock
from tests.support.machine import LOOPBACK, Guest, Link, Machine, routes
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.protocol.dhcp_request import Answer, DhcpError, DhcpRequest

KNOWN = "168.63.129.16"
COOKIE = bytes.fromhex("63825363")
ENDPOINT = bytes((245, 4, 168, 63, 129, 16))
ETH0 = Link("eth0", index=2, mac="00:0d:3a:00:00:01")
ETH1 = Link("eth1", index=3, mac="00:0d:3a:00:00:02")

Server = Callable[[bytes], Sequence[bytes]]


def silent(_: bytes) -> Sequence[bytes]:
    return ()


def offer(
    request: bytes, options: bytes = ENDPOINT, *, mac: bytes = b"", transaction: bytes = b""
) -> bytes:
    """The answer to a request."""
    head = b"\2\1\6\0" + (transaction or request[4:8]) + bytes(20)
    return head + (mac or request[28:34]) + bytes(202) + COOKIE + options + b"\xff"


def good(request: bytes) -> Sequence[bytes]:
    return (offer(request),)


class ScriptedLink:
    """A cable: what is sent goes to a server, what the server says comes from a real descriptor."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent: list[bytes] = []
        self.is_closed = False
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        self.breaks = False

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        for data in self.server(message):
            self.deliver(data)

    def deliver(self, data: bytes) -> None:
        self._theirs.send(data)

    def receive(self) -> Optional[bytes]:
        if self.breaks:
            raise OSError(100, "Network is down")
        try:
            return self._ours.recv(4096)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        return self._ours.fileno()

    def close(self) -> None:
        self.is_closed = True
        self._ours.close()
        self._theirs.close()


class Lab:
    """A guest with links; each link has its server."""

    def __init__(
        self, root: Path, *, files: Optional[dict[str, str]] = None, **servers: Server
    ) -> None:
        links = [LOOPBACK, *(link for link in (ETH0, ETH1) if link.name in servers)]
        self.guest: Guest = Machine(files=files or {}, links=links).boot(root)
        self.links = {name: ScriptedLink(server) for name, server in servers.items()}
        loaded = load(b"", "waagent.conf").conf
        paths = make_paths(self.guest.system, loaded)
        events = Events(paths.events, self.guest.clock)
        self.context = Context(self.guest.system, loaded, paths, events, Stop())

    @property
    def clock(self) -> ManualClock:
        return self.guest.clock

    def run(self) -> Optional[Answer]:
        return DhcpRequest(self.context, lambda device: self.links[device]).run()

    def endpoint(self) -> Optional[str]:
        answer = self.run()
        assert answer is not None
        return answer.offer.endpoint


def test_answer_to_the_first_request_is_taken_at_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path, eth0=good)
    assert lab.endpoint() == KNOWN
    assert lab.clock.waits == []
    assert len(lab.links["eth0"].sent) == 1
    assert lab.links["eth0"].is_closed


def test_requests_go_out_five_times_and_later_ones_want_a_broadcast(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lab = Lab(tmp_path, eth0=silent)
    with pytest.raises(DhcpError, match=r"Failed to receive dhcp response\."):
        lab.run()
    sent = lab.links["eth0"].sent
    assert [packet[10] for packet in sent] == [0, 0x80, 0x80, 0x80, 0x80]
    assert len({packet[4:8] for packet in sent}) == 1
    assert lab.clock.waits == [10.0, 10.0, 10.0, 30.0, 10.0, 60.0, 10.0, 60.0, 10.0]
    assert caplog.text.count("no DHCP server answered within 10 s") == 5
    assert "The next DHCP request is sent in 30 s" in caplog.text
    assert lab.links["eth0"].is_closed


@pytest.mark.parametrize("after_s", [9.0, 15.0, 45.0, 209.0])
def test_answer_that_comes_late_is_an_answer(tmp_path: Path, after_s: float) -> None:
    """In the ten seconds or in the pause behind them; the time that was planned for it is over."""
    lab = Lab(tmp_path, eth0=silent)
    link = lab.links["eth0"]
    began = lab.clock.monotonic()
    lab.clock.at(after_s, lambda: link.deliver(offer(link.sent[0])))
    assert lab.endpoint() == KNOWN
    assert lab.clock.monotonic() - began == pytest.approx(after_s)


@pytest.mark.parametrize(
    "rubbish",
    [
        lambda _: b"",
        lambda request: b"\2\1\6\0" + request[4:8],
        lambda request: offer(request).replace(COOKIE, b"abcd"),
        lambda request: offer(request, transaction=b"\0\0\0\0"),
        lambda request: offer(request, mac=b"\0\1\2\3\4\5"),
        lambda request: request,
        lambda request: offer(request, b"\xf5\xc8\xa8"),
        lambda request: offer(request, bytes(3000)),
        lambda request: offer(request, bytes((245, 4, 224, 0, 0, 1))),
        lambda request: offer(request, bytes((245, 4, 0, 0, 0, 0))),
        lambda request: offer(request, bytes((3, 4, 10, 0, 0, 1))),
    ],
    ids=[
        "empty", "short", "cookie", "transaction", "mac", "echo", "overrun", "pads", "multicast",
        "zero", "another server",
    ],
)  # fmt: skip
def test_what_is_no_answer_does_not_end_the_wait_for_one(
    tmp_path: Path, rubbish: Callable[[bytes], bytes]
) -> None:
    lab = Lab(tmp_path, eth0=lambda request: (rubbish(request), offer(request)))
    assert lab.endpoint() == KNOWN
    assert lab.clock.waits == []


def test_server_that_names_no_wire_server_counts_when_no_better_one_speaks(tmp_path: Path) -> None:
    lab = Lab(tmp_path, eth0=lambda request: (offer(request, bytes((3, 4, 10, 0, 0, 1))),))
    answer = lab.run()
    assert answer is not None
    assert (answer.offer.endpoint, answer.offer.gateway) == (None, "10.0.0.1")
    assert lab.clock.waits == [10.0]


def test_rubbish_without_end_fills_neither_the_time_nor_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(tmp_path, eth0=lambda request: [offer(request, mac=b"\0\1\2\3\4\5")] * 10)
    with pytest.raises(DhcpError):
        lab.run()
    assert caplog.text.count("it answers 00:01:02:03:04:05") == 20


def test_first_request_goes_out_on_the_primary_and_later_ones_on_all(tmp_path: Path) -> None:
    table = routes(("eth1", "00000000", "0100000A", "0003", 100, "00000000"))
    files = {"/proc/net/route": table}
    lab = Lab(tmp_path, files=files, eth0=good, eth1=silent)
    answer = lab.run()
    assert answer is not None
    assert (answer.device, answer.offer.endpoint) == ("eth0", KNOWN)
    assert [packet[10] for packet in lab.links["eth1"].sent] == [0, 0x80]
    assert [packet[28:34].hex() for packet in lab.links["eth1"].sent] == ["000d3a000002"] * 2
    assert [packet[28:34].hex() for packet in lab.links["eth0"].sent] == ["000d3a000001"]
    assert lab.clock.waits == [10.0, 10.0]


def test_interface_that_goes_down_is_given_up_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(tmp_path, eth0=silent)
    lab.links["eth0"].breaks = True
    first = lab.links["eth0"]

    def comes_back() -> None:
        lab.links["eth0"] = ScriptedLink(good)

    lab.clock.at(5, comes_back)
    assert lab.endpoint() == KNOWN
    assert first.is_closed
    assert "Cannot hear DHCP on eth0 any more" in caplog.text


def test_socket_that_cannot_be_had_is_a_failed_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(tmp_path, eth0=silent)

    def refuse(device: str) -> ScriptedLink:
        raise PermissionError(1, f"Operation not permitted on {device}")

    lab.links["eth0"].close()
    with pytest.raises(DhcpError):
        DhcpRequest(lab.context, refuse).run()
    assert caplog.text.count("Failed to send DHCP request on eth0: ") == 5


def test_guest_without_an_interface_is_told_of_at_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with pytest.raises(DhcpError, match="there is no Ethernet interface that is up"):
        lab.run()
    assert lab.clock.waits == []


def test_route_that_appears_meanwhile_ends_the_request(tmp_path: Path) -> None:
    lab = Lab(tmp_path, eth0=silent)
    table = routes(("eth0", "10813FA8", "0100000A", "0007", 0, "FFFFFFFF"))
    lab.clock.at(12, lambda: lab.guest.write("/proc/net/route", table))
    assert lab.run() is None
    assert len(lab.links["eth0"].sent) == 1
    assert lab.links["eth0"].is_closed


@pytest.mark.parametrize("after_s", [5.0, 15.0])
def test_stop_ends_the_request_at_once(tmp_path: Path, after_s: float) -> None:
    lab = Lab(tmp_path, eth0=silent)
    lab.clock.at(after_s, lab.context.stop.set)
    with pytest.raises(DhcpError):
        lab.run()
    assert len(lab.links["eth0"].sent) == 1
    assert lab.links["eth0"].is_closed
