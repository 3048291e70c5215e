"""A machine on which RDMA is switched on: what the host tells it, and its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from tests.support.machine import LOOPBACK, Guest, Link, Machine
from tests.support.runner import Answers, Argv
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.rdma.setup import POOL

ON = "OS.EnableRDMA=y\n"
MAC = "00:15:5d:33:ff:1d"
IPV4 = "172.16.1.7"
ETH1 = Link("eth1", index=3, mac=MAC)
LIB = "/var/lib/waagent"


def record(key: str, value: str) -> bytes:
    """As the key-value daemon writes it."""
    return key.encode().ljust(512, b"\0") + value.encode().ljust(2048, b"\0")


def pool(**told: str) -> bytes:
    """What the host tells."""
    return b"".join(record(key, value) for key, value in told.items())


def boot(
    root: Path,
    *,
    conf: str = ON,
    distro: str = "debian-12",
    told: Union[bytes, None] = b"",
    files: Mapping[str, Union[str, bytes]] = {},
    commands: Mapping[Argv, Answers] = {},
    links: Sequence[Link] = (LOOPBACK, ETH1),
    folders: Sequence[str] = (),
) -> tuple[Guest, Context]:
    """The machine, and what the room is given; ``told`` is its pool, with ``None`` it has none."""
    every = {**files, **({POOL: told} if told is not None else {})}
    guest = Machine(
        distro,
        files=every,
        commands=commands,
        links=links,
        folders=[LIB, "/proc", *folders],
    ).boot(root)
    parsed = load(conf.encode(), "waagent.conf").conf
    paths = make_paths(guest.system, parsed)
    return guest, Context(guest.system, parsed, paths, Events(paths.events, guest.clock), Stop())
