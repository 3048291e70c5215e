"""Steps of a story cut out of the journal: which requests belong to which recording.

Where a step begins and ends is seen by what was asked and answered, never by the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from tests.fabric import Fabric, golden
from tests.fabric.decoding import decode_body
from tests.fabric.emulator import handler_items
from tests.fabric.golden import Record
from tests.fabric.journal import Entry

# What a clock of its own sends: in which step it falls is chance, so it is compared once for all.
PERIODIC = ("hgap.health", "imds.instance", "wire.healthservice", "wire.telemetry")
Marker = Callable[[Entry], bool]
Condition = Callable[[dict[str, Any]], bool]


def fetches(incarnation: int) -> Marker:
    """The request for the extensions of a new incarnation."""
    tail = f"incarnation={incarnation}"
    return lambda e: e.endpoint == "wire.extensionsconfig" and e.url.endswith(tail)


def asks_goal_state(entry: Entry) -> bool:
    """The begin of a turn."""
    return entry.endpoint == "wire.goalstate"


def answered(entry: Entry) -> bool:
    """A vmSettings document that is new."""
    return entry.endpoint == "hgap.vmsettings" and entry.answer == 200


def is_any(_: Entry) -> bool:
    """Whatever comes next."""
    return True


def reports(
    name: str,
    seq_no: int,
    status: str = "success",
    *,
    version: Optional[str] = None,
    config: Optional[str] = None,
    state: str = "Ready",
) -> Condition:
    """A status document in which an extension is as it should be at the end of a step."""

    def fits(item: dict[str, Any]) -> bool:
        runtime = item.get("runtimeSettingsStatus", {})
        found = runtime.get("settingsStatus", {}).get("status", {}).get("status")
        return (
            (runtime.get("sequenceNumber"), found, item["status"]) == (seq_no, status, state)
            and runtime.get("extensionName") == config
            and version in {None, item["handlerVersion"]}
        )

    return lambda document: any(fits(item) for item in handler_items(document, name))


def both(*conditions: Condition) -> Condition:
    """All of several conditions."""
    return lambda document: all(condition(document) for condition in conditions)


def lacks(*names: str) -> Condition:
    """A status document that speaks of no such handler."""
    return lambda document: not any(handler_items(document, name) for name in names)


def find_status(entry: Entry) -> Optional[dict[str, Any]]:
    """The status document that a request brought to its blob, if it is such a one."""
    uploads = entry.endpoint == "hgap.status" or (entry.endpoint, entry.method) == (
        "storage.system", "PUT",
    )  # fmt: skip
    if not uploads or not entry.body or not 200 <= entry.answer < 300:
        return None
    decoded = decode_body(entry)
    found = decoded.get("body_content")
    if found is None and "body" in decoded:
        try:
            found = json.loads(decoded["body"].rstrip("\0 "))
        except ValueError:
            return None
    return found if isinstance(found, dict) else None


@dataclass
class Kept:
    """What a machine sent, by recording, and what it looked like."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    listings: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, other: Kept) -> None:
        """What another machine sent and looked like too."""
        for name, records in other.records.items():
            self.records.setdefault(name, []).extend(records)
        self.listings.update(other.listings)
        self.facts.update(other.facts)


class Cutter:
    """Keeps what each step sent, under the name of its recording."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.records: dict[str, list[Record]] = {}
        self.statuses: dict[str, dict[str, Any]] = {}

    @property
    def now(self) -> int:
        """The number of the newest request."""
        return len(self._fabric.journal.entries())

    def cut(self, step: str, since: int, marker: Marker, until: Condition) -> None:
        """From the turn of the first marked request after `since` to the status that is awaited."""
        journal = self._fabric.journal

        def last() -> Optional[tuple[Entry, Entry]]:
            ours = journal.entries(since=since)
            first = next((e for e in ours if marker(e)), None)
            if first is None:
                return None
            for entry in ours[ours.index(first) :]:
                document = find_status(entry)
                if document is not None and until(document):
                    self.statuses[step] = document
                    return first, entry
            return None

        first, end = journal.wait(last, what=f"the status at the end of {step}")
        before = [e for e in journal.entries("wire.goalstate") if e.number <= first.number]
        begin = since if marker is is_any else before[-1].number - 1
        self.keep(step, journal.entries(since=begin)[: end.number - begin])

    def await_turn(self) -> None:
        """Wait until the turn that is under way is over: whatever it writes is on the disk."""
        self._fabric.await_requests("wire.goalstate", since=self.now)

    def keep(self, step: str, entries: Iterable[Entry]) -> None:
        """Add requests to a step, but for those that no step owns."""
        vm = self._fabric.vm
        kept = self.records.setdefault(step, [])
        kept += [
            golden.record_of(entry, vm)
            for entry in entries
            if entry.endpoint not in PERIODIC and entry.endpoint != "dhcp"
        ]

    def keep_rest(self, step: str) -> None:
        """What clocks of their own sent in the whole story, and what no recording speaks of."""
        vm = self._fabric.vm
        known = {record["endpoint"] for records in self.records.values() for record in records}
        self.records[step] = [
            golden.record_of(entry, vm)
            for entry in self._fabric.journal.entries()
            if entry.endpoint in PERIODIC or entry.endpoint not in known
        ]
