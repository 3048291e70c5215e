"""Which addresses and ports the servers take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fabric.addresses import Addresses
from tests.fabric.exchange import Service
from tests.fabric.faults import FaultBoard
from tests.fabric.journal import Journal
from tests.fabric.server import Binding, Listener

Address = tuple[str, int]
HOST_PLUGIN_PORT = 32526
IMDS_HOST = "169.254.169.254"


@dataclass(frozen=True)
class Ports:
    """Real addresses; port 0 is any free one."""

    wire: Address = ("127.0.0.1", 0)
    host_plugin: Address = ("127.0.0.1", 0)
    imds: Address = ("127.0.0.1", 0)
    storage: Address = ("127.0.0.1", 0)


@dataclass(frozen=True)
class Servers:
    """The four services of the fabric."""

    wire: Service
    host_plugin: Service
    imds: Service
    storage: Service


def open_listeners(
    ports: Ports, servers: Servers, addresses: Addresses, journal: Journal, board: FaultBoard
) -> dict[str, Listener]:
    """One listener for each real address; wire server and storage may share one."""
    wanted: dict[str, tuple[Address, Binding]] = {
        "wire": (ports.wire, Binding(servers.wire)),
        "host_plugin": (ports.host_plugin, Binding(servers.host_plugin)),
        "imds": (ports.imds, Binding(servers.imds, IMDS_HOST)),
        "storage": (ports.storage, Binding(servers.storage, addresses.storage)),
    }
    opened: dict[str, Listener] = {}
    shared: dict[Address, Listener] = {}
    for name, (address, _) in wanted.items():
        if address in shared:
            opened[name] = shared[address]
            continue
        bindings: Sequence[Binding] = [b for a, b in wanted.values() if a == address]
        if not address[1]:
            bindings = [wanted[name][1]]
        opened[name] = Listener(address, bindings, journal, board)
        if address[1]:
            shared[address] = opened[name]
    return opened


def address_book(opened: dict[str, Listener], addresses: Addresses) -> dict[str, Address]:
    """What a client calls a server, and where that really is."""
    wire_host = addresses.wire.rpartition(":")[0]
    book = {
        addresses.wire: opened["wire"].address,
        f"{wire_host}:{HOST_PLUGIN_PORT}": opened["host_plugin"].address,
        f"{IMDS_HOST}:80": opened["imds"].address,
    }
    storage = addresses.storage
    if ":" in storage:
        book[storage] = opened["storage"].address
    else:
        book[f"{storage}:80"] = opened["storage"].address
        book[f"{storage}:443"] = opened["storage"].address
    return book
