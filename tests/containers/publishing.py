"""The story that is told of each network manager: a name is published and nothing else happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional

from tests.containers.container import Container, ContainerFailed
from tests.containers.monitor import Monitor
from tests.containers.segment import NETWORK, Segment
from tests.containers.stream import Stream
from tests.support.findings import Finding, look_at

ODD = (ContainerFailed,)
RECORD = "/var/lib/waagent/published_hostname"
GAP_S = 3.0  # TCP's own first repetitions on a busy machine; a lost address costs the connection
SETTLED_BYTES = 10  # before and after: the stream shall have been at rest

# What provisioning and the watch of the host name do, with nothing in between.
PROGRAM = """
import logging, sys
from waagent.core.system import real_system
from waagent.guest import hostname
from waagent.guest.profiles import profile_of
from waagent.guest.release import read_release
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
system, name = real_system(), sys.argv[1]
profile = profile_of(read_release(system))
hostname.set_hostname(system, profile, name)
manager = hostname.publish_hostname(system, name, record=system.path(sys.argv[2]))
print(manager.value if manager else "nothing")
"""


@dataclass(frozen=True)
class Told:
    """How our own code published a name in the container."""

    manager: str
    log: str
    took_s: float


def publish(container: Container, name: str) -> Told:
    """Set and publish a name with the agent's own code in the container."""
    began = time.monotonic()
    done = container.python(PROGRAM, name, RECORD, within_s=120.0)
    if done.code:
        raise ContainerFailed(f"publishing ended with {done.code}: {done.said}")
    return Told(done.output.strip(), done.errors, time.monotonic() - began)


class Story:
    """One container whose name changes; each method is a look."""

    def __init__(
        self, segment: Segment, container: Container, expected: str, *, warns: str = ""
    ) -> None:
        self._segment, self._container, self._expected = segment, container, expected
        self._warns = warns
        self._stream = Stream(segment, container)
        self._monitor = Monitor(container)
        self._told: Optional[Told] = None
        self._name = "named-anew"

    def has_address(self) -> tuple[bool, str]:
        """By DHCP, from dnsmasq."""
        self._container.await_address(NETWORK)
        shown = self._container.must("ip", "-4", "-o", "address", "show", "dev", "eth0")
        return True, f"{' '.join(shown.split()[:4])}, named {self._segment.leased_name or '-'}"

    def publishes(self) -> tuple[bool, str]:
        """While the stream runs and the monitor listens."""
        with self._monitor, self._stream:
            self._await_bytes()
            self._told = publish(self._container, self._name)
            self._segment.await_name(self._name)
            self._await_bytes()
        good = self._told.manager == self._expected
        return good, f"by {self._told.manager} in {self._told.took_s:.1f} s"

    def streams_on(self) -> tuple[bool, str]:
        """No byte is lost."""
        return self._stream.is_whole and self._stream.largest_gap_s < GAP_S, self._stream.said

    def loses_nothing(self) -> tuple[bool, str]:
        """Neither link nor address nor route."""
        return not self._monitor.losses, self._monitor.said

    def is_known(self) -> tuple[bool, str]:
        """To the server: by its log of the request, and in its file."""
        heard = f"client provides name: {self._name}" in self._segment.log
        return heard and self._segment.leased_name == self._name, self._segment.leases.strip()

    def is_recorded(self) -> tuple[bool, str]:
        """For the next start."""
        kernel = self._container.must("uname", "-n").strip()
        record, file = self._container.read(RECORD), self._container.read("/etc/hostname").strip()
        good = kernel == record == file == self._name
        return good, f"kernel: {kernel}, record: {record}, /etc/hostname: {file}"

    def logs(self) -> tuple[bool, str]:
        """What the log said, with a warning only where one is expected."""
        log = self._told.log if self._told else ""
        warned = "WARNING" in log
        good = self._warns in log and warned == bool(self._warns) and "Traceback" not in log
        return bool(log) and good, log

    def _await_bytes(self) -> None:
        """Until so many more have come back, or the stream has broken, which is found later."""
        until = self._stream.returned + SETTLED_BYTES
        self._container.await_that(
            "the stream runs", lambda: self._stream.returned >= until or self._stream.failure != ""
        )


def tell(story: Story) -> Iterator[Finding]:
    """All looks, in order."""
    looks: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
        ("the link has its address by DHCP", story.has_address),
        ("our code publishes a new name", story.publishes),
        ("a stream of ten bytes a second runs on", story.streams_on),
        ("ip monitor: nothing is lost", story.loses_nothing),
        ("the DHCP server has seen the name", story.is_known),
        ("it is set, and recorded as published", story.is_recorded),
        ("what the log says", story.logs),
    )
    yield from look_at(looks, *ODD)
