"""The child process, put together around a folder and a fabric, and run turn by turn.

No thread is started and nothing sleeps: the clock stands still until somebody waits. Only the
end of an extension's command is waited for in truth.
"""

from __future__ import annotations

import functools
import json
import os
import select
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, Optional

import pytest

from tests.fabric import Fabric
from tests.fabric.emulator import handler_items
from tests.support.clock import ManualClock
from tests.support.machine import DATA
from waagent.core import files
from waagent.core.clock import Clock, Stop
from waagent.core.commands import ProcessRunner, Result
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events, Op
from waagent.core.http import Request, Response, Transport
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.exthandlers.main import ExtHandlers, assemble
from waagent.guest.profiles import profile_of
from waagent.guest.release import read_release
from waagent.protocol.network import make_transport
from waagent.protocol.session import Session, open_session
from waagent.protocol.transport import make_transport_certificate

ENDPOINT = "168.63.129.16"
ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
COMMAND_ENDS_WITHIN_MS = 20_000
OF_THE_MACHINE = frozenset({"useradd", "usermod", "userdel", "chpasswd", "chage", "groupadd"})


@functools.cache
def _transport_keys() -> tuple[bytes, bytes]:
    """Made once for all tests: it takes its time."""
    return make_transport_certificate(datetime.now(timezone.utc))


class AgentClock(ManualClock):
    """Time passes at once, but the end of a process is waited for as long as it takes."""

    def __init__(self) -> None:
        super().__init__(datetime.now(timezone.utc))

    def wait(self, stop: Optional[Stop], seconds: float, *descriptors: int) -> bool:
        """See ``Clock.wait``."""
        if not descriptors:
            return super().wait(stop, seconds)
        poller = select.poll()
        for descriptor in (*descriptors, *([stop.fileno()] if stop else [])):
            poller.register(descriptor, select.POLLIN)
        if not poller.poll(COMMAND_ENDS_WITHIN_MS):
            raise AssertionError("a command of an extension does not end")
        return stop is not None and stop.is_set()


class FolderRunner(ProcessRunner):
    """Real processes, but none that would change the accounts of the machine the tests run on."""

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``."""
        if Path(argv[0]).name in OF_THE_MACHINE:
            raise pytest.fail.Exception(f"this would change the machine itself: {argv}")
        return super().run(argv, stdin=stdin, timeout_s=timeout_s)


class ImpatientTransport:
    """The real transport, for a fabric that does not answer: it gives up early."""

    def __init__(self, transport: Transport, timeout_s: float) -> None:
        self._transport = transport
        self._timeout_s = timeout_s

    def send(self, request: Request, sink: Optional[BinaryIO] = None) -> Response:
        """See ``Transport.send``."""
        return self._transport.send(replace(request, timeout_s=self._timeout_s), sink)


class RootedAgent:
    """One machine's agent; ``start`` may be called again and again, as a service is."""

    def __init__(
        self,
        root: Path,
        fabric: Fabric,
        *,
        conf: str = "",
        clock: Optional[Clock] = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.fabric = fabric
        self.root = root
        self.clock = clock or AgentClock()
        self._conf = conf
        self._timeout_s = timeout_s
        self.context = self._make_context()
        self.paths = self.context.paths
        self.paths.lib.mkdir(parents=True, exist_ok=True)
        self.paths.lib.chmod(0o700)
        self.paths.pid_file.parent.mkdir(parents=True, exist_ok=True)
        release = self.system.path("/etc/os-release")
        release.parent.mkdir(parents=True, exist_ok=True)
        release.write_bytes((DATA / "os-release" / "debian-12").read_bytes())
        accounts = self.system.path("/etc/passwd")
        if not accounts.exists():
            accounts.write_text("root:x:0:0:root:/root:/bin/bash\n")
        if not self.paths.transport_private.exists():
            private, certificate = _transport_keys()
            files.write(self.paths.transport_private, private, mode=files.SECRET)
            files.write(self.paths.transport_cert, certificate, mode=files.SECRET)
        self.session = self._open_session()
        self._process: Optional[ExtHandlers] = None

    def _make_context(self) -> Context:
        self.system = System(self.root, FolderRunner(ENVIRONMENT), self.clock, ENVIRONMENT)
        conf = load(self._conf.encode(), "waagent.conf").conf
        paths = make_paths(self.system, conf)
        events = Events(paths.events, self.clock, status_file=paths.event_status)
        return Context(self.system, conf, paths, events, Stop(), self.fabric.address_book)

    def _open_session(self) -> Session:
        transport = ImpatientTransport(make_transport(self.context), self._timeout_s)
        return open_session(self.context, transport, ENDPOINT, keeps_history=True)

    @property
    def process(self) -> ExtHandlers:
        """What was put together by ``start``."""
        if self._process is None:
            raise AssertionError("the agent was not started")
        return self._process

    def start(self, *, fresh: bool = True) -> RootedAgent:
        """Put the child together anew, around a first goal state; no turn is run yet."""
        if fresh:
            self.context = self._make_context()
            self.session = self._open_session()
        release = read_release(self.system)
        process = assemble(
            self.context, self.session, release, profile_of(release), checks_parent=False
        )
        assert process is not None, "it was told to stop before there was a goal state"
        self._process = process
        return self

    def turn(self, times: int = 1) -> None:
        """Run the loop's turns with their pauses."""
        for _ in range(times):
            self.process.loop.turn()
            self.session.health.post_waiting()  # a thread does that
            self.clock.wait(None, self.process.loop.period_s())

    def let_pass(self, seconds: float) -> None:
        """Time goes by, and the agent does nothing."""
        self.clock.wait(None, seconds)

    @property
    def manual(self) -> ManualClock:
        """The clock, which stands still until somebody waits."""
        assert isinstance(self.clock, ManualClock)
        return self.clock

    @property
    def waits(self) -> list[float]:
        """Every wait of that clock, in seconds."""
        return self.manual.waits

    def new_status(self) -> dict[str, Any]:
        """Run one turn, and have the status that came of it."""
        before = len(self.statuses)
        self.turn()
        assert len(self.statuses) == before + 1, "the turn uploaded no status"
        return self.status

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """All statuses that the fabric got."""
        return self.fabric.world.received.statuses

    @property
    def status(self) -> dict[str, Any]:
        """The newest status that the fabric got."""
        assert self.statuses, "no status was uploaded"
        return self.statuses[-1]

    def item(self, name: str) -> dict[str, Any]:
        """What the newest status says of a handler of one configuration."""
        items = handler_items(self.status, name)
        assert len(items) == 1, f"{name} is reported {len(items)} times"
        return items[0]

    def extension(self, name: str) -> tuple[str, int, str]:
        """Status, code and message of a handler's one extension, as last reported."""
        status = self.item(name)["runtimeSettingsStatus"]["settingsStatus"]["status"]
        return status["status"], status["code"], status["formattedMessage"]["message"]

    def events(self, op: Op) -> list[dict[str, Any]]:
        """The events of an operation that wait in the spool, oldest first."""
        return [event for event in self._spooled() if event.get("Operation") == op.value]

    def _spooled(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.paths.events.glob("*.waagent.tld")):
            document = json.loads(path.read_text(encoding="utf-8"))
            yield {each["name"]: each["value"] for each in document["parameters"]}

    def handler(self, name: str, version: str = "1.0.0") -> Path:
        """A handler's folder."""
        return self.paths.handler(name, version)

    def lib(self, name: str) -> Path:
        """A file of the lib dir."""
        return self.paths.lib / name

    def requests(self, endpoint: str, since: int = 0) -> int:
        """How many requests an endpoint got after a number of the journal."""
        return len(self.fabric.journal.entries(endpoint, since))

    @property
    def now(self) -> int:
        """The number of the newest request: for ``since``."""
        return len(self.fabric.journal.entries())
