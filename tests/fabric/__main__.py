"""The fabric as a command: `python -m tests.fabric`."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from tests.fabric.addresses import Addresses
from tests.fabric.control import Control
from tests.fabric.dhcp import DhcpServer
from tests.fabric.dhcp_packets import Lease
from tests.fabric.emulator import Fabric
from tests.fabric.media import MediaKey, OvfMedia, write_iso
from tests.fabric.model import STORAGE_HOST, WIRE_AUTHORITY
from tests.fabric.ports import HOST_PLUGIN_PORT, Ports
from tests.fabric.story import Story

LOOPBACK = "127.0.0.1"


def build_parser() -> argparse.ArgumentParser:
    """The accepted command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fabric", description=__doc__)
    parser.add_argument("--wire-address", metavar="IP", help="take ports 80 and 32526 of it")
    parser.add_argument("--imds-address", metavar="IP", help="take port 80 of it")
    parser.add_argument("--storage-address", metavar="IP", help="take port 80 of it")
    parser.add_argument("--storage-host", metavar="NAME", default=STORAGE_HOST)
    parser.add_argument("--control", metavar="IP:PORT", default=f"{LOOPBACK}:0")
    parser.add_argument("--state", metavar="FILE", type=Path, help="write where everything is")
    parser.add_argument("--story", action="store_true", help="print what happens as JSON lines")
    parser.add_argument("--throttle", action="store_true", help="15 telemetry posts in 15 s")
    parser.add_argument("--dhcp", metavar="INTERFACE", help="answer DHCP there, with option 245")
    parser.add_argument("--media", metavar="FILE", type=Path, help="write the provisioning ISO")
    parser.add_argument("--user", default="azureuser", help="whom the media asks for")
    parser.add_argument("--password", help="the user's password on the media")
    parser.add_argument("--ssh-key", metavar="TEXT", help="the user's public key on the media")
    return parser


def build_media(args: argparse.Namespace, fabric: Fabric) -> OvfMedia:
    """The media of this machine, for the user that was asked for."""
    path = f"$HOME/{args.user}/.ssh/authorized_keys"
    return OvfMedia(
        hostname=fabric.vm.identity.name,
        user=args.user,
        password=args.password,
        disable_password_authentication=args.password is None,
        keys=(MediaKey(path, args.ssh_key),) if args.ssh_key else (),
    )


def build_dhcp(interface: str, wire_address: Optional[str], fabric: Fabric) -> DhcpServer:
    """A server that leases this machine's address, and says where the wire server is."""
    wire = wire_address or WIRE_AUTHORITY.partition(":")[0]
    address = fabric.vm.identity.private_ip
    return DhcpServer(interface, Lease(address=address, wire_server=wire), fabric.journal)


def say(event: dict[str, Any]) -> None:
    """One JSON line, at once."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def build_fabric(args: argparse.Namespace) -> Fabric:
    """The fabric on the addresses that were asked for, on free loopback ports for the others."""
    wire, storage = args.wire_address, args.storage_address or args.wire_address
    ports = Ports(
        wire=(wire, 80) if wire else (LOOPBACK, 0),
        host_plugin=(wire, HOST_PLUGIN_PORT) if wire else (LOOPBACK, 0),
        imds=(args.imds_address, 80) if args.imds_address else (LOOPBACK, 0),
        storage=(storage, 80) if storage else (LOOPBACK, 0),
    )
    addresses = Addresses(f"{wire}:80", args.storage_host) if wire else None
    return Fabric(
        addresses=addresses,
        ports=ports,
        listener=Story(say) if args.story else None,
        telemetry_limit=15 if args.throttle else None,
        names_are_real=wire is None,
    )


def write_state(path: Path, facts: dict[str, Any]) -> None:
    """The state file, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def main(argv: Optional[list[str]] = None) -> int:
    """Run until SIGTERM or SIGINT."""
    args = build_parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    host, _, port = args.control.rpartition(":")
    with contextlib.ExitStack() as stack:
        fabric = build_fabric(args).start()
        stack.callback(fabric.stop)
        control = stack.enter_context(Control(fabric, (host or LOOPBACK, int(port))))
        facts = {
            "event": "started",
            "time": time.time(),
            "control": "{}:{}".format(*control.address),
            "address_book": {name: list(real) for name, real in fabric.address_book.items()},
            "storage_host": fabric.world.addresses.storage,
        }
        if args.dhcp is not None:
            stack.enter_context(build_dhcp(args.dhcp, args.wire_address, fabric))
            facts["dhcp"] = args.dhcp
        if args.media is not None:
            facts["media"] = str(write_iso(build_media(args, fabric), args.media))
        if args.state is not None:
            write_state(args.state, facts)
        say(facts)
        stop.wait()
    violations = list(fabric.violations)
    say({"event": "stopped", "time": time.time(), "violations": violations})
    return 0


if __name__ == "__main__":
    sys.exit(main())
