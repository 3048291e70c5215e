"""SR-IOV set-up with a real kernel and ``ip``: only on a machine that is thrown away.

Started by ``test_device_real``; what it found goes to standard output as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.rdma.machine import pool
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import real_system
from waagent.protocol.documents.shared_config import SharedConfig
from waagent.rdma.setup import POOL, set_up_rdma

LINKS = {"eth7": ("00:15:5d:33:ff:1d", "172.16.1.7"), "eth8": ("00:15:5d:33:ff:1e", "172.16.1.8")}


def addresses(name: str) -> dict[str, Any]:
    """What ip(8) shows of a link."""
    shown = subprocess.run(["ip", "-j", "addr", "show", name], stdout=subprocess.PIPE, check=True)
    (link,) = json.loads(shown.stdout)
    mine = [each for each in link["addr_info"] if each["family"] == "inet"]
    return {
        "is up": "UP" in link["flags"],
        "addresses": [f"{each['local']}/{each['prefixlen']}" for each in mine],
    }


def main() -> int:
    """Two devices, set up twice: a later start finds the addresses there."""
    if not Path("/waagent-throwaway").exists():
        print("this must only run inside test_device_real", file=sys.stderr)
        return 1
    for name, (mac, _) in LINKS.items():
        kind = ["type", "veth", "peer", "name", f"{name}-end"]
        subprocess.run(["ip", "link", "add", name, "address", mac, *kind], check=True)
    pairs = "|".join(f"{mac.replace(':', '').upper()}:{ipv4}" for mac, ipv4 in LINKS.values())
    Path(POOL).parent.mkdir(parents=True, exist_ok=True)
    Path(POOL).write_bytes(pool(IPoIB_Data=f"NUMPAIRS:2|{pairs}"))
    system = real_system()
    conf = load(b"OS.EnableRDMA=y\nLib.Dir=/run/waagent-lib\n", "waagent.conf").conf
    paths = make_paths(system, conf)
    context = Context(system, conf, paths, Events(paths.events, system.clock), Stop())
    for _ in range(2):
        set_up_rdma(context, lambda: SharedConfig("172.16.1.7", "00:15:5D:33:FF:1D"))
    print(json.dumps({name: addresses(name) for name in LINKS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
