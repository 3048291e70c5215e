"""The fabric in one process: its servers, the portal that scripts it, and waiting for the guest."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, Optional

from tests.fabric.addresses import Addresses
from tests.fabric.faults import NAMED, Fault
from tests.fabric.hostplugin import HostPlugin
from tests.fabric.imds import Imds
from tests.fabric.journal import DEADLINE_S, Entry, Journal
from tests.fabric.model import Vm, first_boot
from tests.fabric.platform import Platform
from tests.fabric.portal import Portal
from tests.fabric.ports import Address, Ports, Servers, address_book, open_listeners
from tests.fabric.storage import Storage
from tests.fabric.wireserver import WireServer
from tests.fabric.world import HealthReport, World


class Fabric:
    """An Azure host for one virtual machine.

    `portal` changes extensions, `platform` all else; `journal` holds what was received, `world`
    the state; `address_book` says where the real ports are. Leaving the context without another
    exception fails on any violation of the protocol.
    """

    def __init__(
        self,
        vm: Optional[Vm] = None,
        *,
        addresses: Optional[Addresses] = None,
        ports: Optional[Ports] = None,
        listener: Optional[Callable[[Entry], None]] = None,
        telemetry_limit: Optional[int] = None,
        names_are_real: bool = False,
    ) -> None:
        self.world = World(vm or first_boot(), addresses or Addresses())
        self.world.telemetry_limit = telemetry_limit
        self.journal = Journal(listener)
        self.portal = Portal(self.world, self.journal.poke)
        self.platform = Platform(self.world, self.portal, self.journal.poke)
        storage = Storage(self.world)
        servers = Servers(
            WireServer(self.world), HostPlugin(self.world, storage), Imds(self.world), storage
        )
        self._listeners = open_listeners(
            ports or Ports(), servers, self.world.addresses, self.journal, self.world.board
        )
        if names_are_real:
            self.world.addresses = Addresses(
                "{}:{}".format(*self._listeners["wire"].address),
                "{}:{}".format(*self._listeners["storage"].address),
            )
        self.address_book: dict[str, Address] = address_book(self._listeners, self.world.addresses)
        self._running = False

    @property
    def vm(self) -> Vm:
        """What the fabric wants at this moment."""
        return self.world.vm

    @property
    def violations(self) -> tuple[str, ...]:
        """One sentence for each thing that a client did wrong."""
        return self.journal.violations

    def start(self) -> Fabric:
        """Begin to answer."""
        for listener in set(self._listeners.values()):
            listener.start()
        self._running = True
        return self

    def stop(self) -> None:
        """Close every port."""
        for listener in set(self._listeners.values()) if self._running else ():
            listener.stop()
        self._running = False

    def __enter__(self) -> Fabric:
        return self.start()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()
        if error is None:
            self.assert_clean()

    def assert_clean(self) -> None:
        """Fail if a client broke the protocol, listing how."""
        if self.violations:
            raise AssertionError("the protocol was broken:\n  " + "\n  ".join(self.violations))

    def fault(self, endpoint: str, fault: Fault | str, count: Optional[int] = None) -> None:
        """Break an endpoint, or all below a prefix such as `storage.`, until cleared or counted."""
        self.world.board.set(endpoint, NAMED[fault] if isinstance(fault, str) else fault, count)

    def clear_faults(self, endpoint: Optional[str] = None) -> None:
        """Repair one endpoint or everything."""
        self.world.board.clear(endpoint)

    def await_(
        self, condition: Callable[[], Any], within_s: float = DEADLINE_S, what: str = "a condition"
    ) -> Any:
        """Wait until a condition on this fabric is true and return what it said."""
        return self.journal.wait(condition, within_s, what)

    def await_requests(
        self, endpoint: str, count: int = 1, *, since: int = 0, within_s: float = DEADLINE_S
    ) -> tuple[Entry, ...]:
        """Wait for a number of requests to an endpoint after a journal number."""

        def enough() -> Optional[tuple[Entry, ...]]:
            found = self.journal.entries(endpoint, since)
            return found if len(found) >= count else None

        found: tuple[Entry, ...] = self.await_(enough, within_s, f"{count} requests to {endpoint}")
        return found

    def await_ready(self, within_s: float = DEADLINE_S) -> HealthReport:
        """Wait until the guest has reported Ready."""

        def ready() -> Optional[HealthReport]:
            return next((r for r in self.world.received.health if r.state == "Ready"), None)

        found: HealthReport = self.await_(ready, within_s, "the guest to report Ready")
        return found

    def await_status(
        self,
        condition: Callable[[dict[str, Any]], Any] = bool,
        *,
        since: int = 0,
        within_s: float = DEADLINE_S,
    ) -> dict[str, Any]:
        """Wait for a status document, after the first `since` ones, that fits a condition."""

        def fits() -> Optional[dict[str, Any]]:
            statuses = self.world.received.statuses
            return next((s for s in reversed(statuses[since:]) if condition(s)), None)

        found: dict[str, Any] = self.await_(fits, within_s, "a fitting status document")
        return found

    def await_extension(
        self,
        name: str,
        *,
        seq_no: int,
        status: str = "success",
        version: Optional[str] = None,
        config: Optional[str] = None,
        within_s: float = DEADLINE_S,
    ) -> dict[str, Any]:
        """Wait until an extension reports a state for a sequence number; return its item.

        `version` asks for one version of the handler, `config` for one of several configurations.
        """

        def fits(one: dict[str, Any]) -> bool:
            runtime = one.get("runtimeSettingsStatus", {})
            found = runtime.get("settingsStatus", {}).get("status", {}).get("status")
            return (
                (runtime.get("sequenceNumber"), found) == (seq_no, status)
                and runtime.get("extensionName") == config
                and version in {None, one.get("handlerVersion")}
            )

        def item(document: dict[str, Any]) -> Optional[dict[str, Any]]:
            return next((i for i in handler_items(document, name) if fits(i)), None)

        document = self.await_status(item, within_s=within_s)
        return next(i for i in handler_items(document, name) if fits(i))


def handler_items(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The items of a status document that speak of one handler."""
    items = document.get("aggregateStatus", {}).get("handlerAggregateStatus", [])
    return [item for item in items if item.get("handlerName") == name]
