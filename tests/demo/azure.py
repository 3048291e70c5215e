"""Azure's side of the cable: a network namespace in which the fabric owns its real addresses.

Nothing outside of it ever sends to them, and it reaches nothing but the guest.
"""

from __future__ import annotations

from typing import Callable, Optional

from tests.demo.namespaces import NetworkNamespace
from tests.fabric import Fabric, Vm
from tests.fabric.addresses import Addresses
from tests.fabric.dhcp import DhcpServer
from tests.fabric.dhcp_packets import HostRoute, Lease
from tests.fabric.journal import Entry
from tests.fabric.model import STORAGE_HOST
from tests.fabric.ports import HOST_PLUGIN_PORT, IMDS_HOST, Ports

WIRE_HOST = "168.63.129.16"
STORAGE_ADDRESS = "203.0.113.10"
ROUTER = "10.0.0.1"
CABLE = "fabric0"
NIC = "eth0"


LayCable = Callable[[NetworkNamespace], None]


class Azure:
    """The fabric on its real addresses, with a DHCP server on the cable to the guest.

    `lay_cable` makes the interface `CABLE` in Azure's network, with the guest at its other end.
    """

    def __init__(
        self,
        vm: Vm,
        lay_cable: LayCable,
        *,
        option_245: bool = True,
        listener: Optional[Callable[[Entry], None]] = None,
    ) -> None:
        self.network = NetworkNamespace()
        try:
            self._open_network(lay_cable)
            self.fabric = self.network.call(lambda: _open_fabric(vm, listener))
            lease = Lease(
                address=vm.identity.private_ip,
                router=ROUTER,
                wire_server=WIRE_HOST if option_245 else None,
                routes=tuple(HostRoute(f"{host}/32", ROUTER) for host in (WIRE_HOST, IMDS_HOST)),
            )
            self.dhcp = self.network.call(lambda: DhcpServer(CABLE, lease, self.fabric.journal))
        except BaseException:
            self.network.close()
            raise
        self.network.call(self.fabric.start)
        self.dhcp.start()

    def close(self) -> None:
        """Close every port; the network goes with the last of them."""
        self.dhcp.stop()
        self.fabric.stop()
        self.network.close()

    def _open_network(self, lay_cable: LayCable) -> None:
        run = self.network.run
        run("ip", "link", "set", "lo", "up")
        for address in (WIRE_HOST, IMDS_HOST, STORAGE_ADDRESS):
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        lay_cable(self.network)
        run("ip", "address", "add", f"{ROUTER}/24", "dev", CABLE)
        run("ip", "link", "set", CABLE, "up")


def cable_to_process(guest_pid: int, mac: str) -> LayCable:
    """A virtual Ethernet pair into the network namespace of a process."""

    def lay(network: NetworkNamespace) -> None:
        peer = ("peer", "name", NIC, "address", colons(mac), "netns", str(guest_pid))
        network.run("ip", "link", "add", CABLE, "type", "veth", *peer)

    return lay


def colons(mac: str) -> str:
    """A MAC address as Linux writes it."""
    return ":".join(mac[i : i + 2] for i in range(0, 12, 2)).lower()


def _open_fabric(vm: Vm, listener: Optional[Callable[[Entry], None]]) -> Fabric:
    ports = Ports(
        wire=(WIRE_HOST, 80),
        host_plugin=(WIRE_HOST, HOST_PLUGIN_PORT),
        imds=(IMDS_HOST, 80),
        storage=(STORAGE_ADDRESS, 80),
    )
    return Fabric(vm, addresses=Addresses(), ports=ports, listener=listener)


def render_hosts(*hostnames: str) -> str:
    """The guest's /etc/hosts: storage has a name, and there is no DNS to ask."""
    own = " ".join(hostnames)
    return f"127.0.0.1 localhost {own}\n::1 localhost\n{STORAGE_ADDRESS} {STORAGE_HOST}\n"
