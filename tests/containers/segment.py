"""The network of a container: a cable, a DHCP server at its other end, and no way further."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Callable, Optional

from tests.demo.azure import CABLE, LayCable
from tests.demo.namespaces import NetworkNamespace, await_link

ROUTER = "10.66.0.1"
NETWORK = "10.66.0."
MAC = "02:00:5e:10:00:01"
NIC = "eth0"
POLL_S = 0.05


def cable_to(guest: NetworkNamespace, mac: str = MAC, nic: str = NIC) -> LayCable:
    """A virtual Ethernet pair from wherever it is laid into the network of a container."""

    def lay(network: NetworkNamespace) -> None:
        far = Path("/proc/self/fd") / str(guest.descriptor)
        peer = ("peer", "name", nic, "address", mac, "netns", str(far))
        done = network.call(
            lambda: subprocess.run(
                ["ip", "link", "add", CABLE, "type", "veth", *peer],
                pass_fds=(guest.descriptor,), capture_output=True, text=True, check=False,
            )
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"cannot lay a cable: {done.stderr.strip()}")

    return lay


class Segment:
    """A cable between a router with dnsmasq and a container. `guest` is the container's network."""

    def __init__(self, *, mac: str = MAC, lease_s: int = 3600) -> None:
        self.network, self.guest = NetworkNamespace(), NetworkNamespace()
        self._folder = Path(tempfile.mkdtemp(prefix="waagent-segment-"))
        self._server: Optional[subprocess.Popen[bytes]] = None
        self._mac, self._lease_s = mac, lease_s

    def __enter__(self) -> Segment:
        try:
            cable_to(self.guest, self._mac)(self.network)
            self.guest.run("ip", "link", "set", "lo", "up")
            for words in (("link", "set", "lo", "up"), ("link", "set", CABLE, "up")):
                self.network.run("ip", *words)
            self.network.run("ip", "address", "add", f"{ROUTER}/24", "dev", CABLE)
            self._serve()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def log(self) -> str:
        """All that the DHCP server logged."""
        path = self._folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def leases(self) -> str:
        """The DHCP server's file of leases."""
        path = self._folder / "leases"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def leased_name(self) -> str:
        """The name that the server has for the container's lease; empty while it has none."""
        for line in self.leases.splitlines():
            words = line.split()
            if len(words) > 3 and words[1] == self._mac:
                return "" if words[3] == "*" else words[3]
        return ""

    def await_that(self, what: str, holds: Callable[[], bool], within_s: float = 20.0) -> None:
        """Wait until something holds at the server."""
        limit = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > limit:
                raise OSError(f"not within {within_s:g} s: {what}\n{self.log[-1500:]}")
            threading.Event().wait(POLL_S)

    def await_name(self, name: str, within_s: float = 20.0) -> None:
        """Wait until the server has a name for the lease."""
        self.await_that(f"the server knows {name}", lambda: self.leased_name == name, within_s)

    def await_link(self) -> None:
        """Wait until the cable carries what is sent, after the container has its end up."""
        await_link(lambda: self.network.run("ip", "-brief", "link", "show", CABLE))

    def close(self) -> None:
        """End the server; the networks go when the last process in them has."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(10.0)
            self._server = None
        self.network.close()
        self.guest.close()
        rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        """dnsmasq, which never looks whether an address is in use: there is only one guest."""
        folder, near = self._folder, Path("/proc/self/fd") / str(self.network.descriptor)
        words = [
            *("dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--user=root", "--port=0"),
            *(f"--interface={CABLE}", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"),
            *("--no-resolv", "--no-hosts", "--log-dhcp", f"--log-facility={folder}/log"),
            f"--dhcp-range={NETWORK}50,{NETWORK}60,{self._lease_s}",
            *(f"--dhcp-leasefile={folder}/leases", "--pid-file="),
        ]
        self._server = subprocess.Popen(
            ["nsenter", f"--net={near}", "setpriv", "--pdeathsig", "KILL", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self.network.descriptor,),
        )
        self.await_that("dnsmasq serves", lambda: "DHCP, IP range" in self.log)
