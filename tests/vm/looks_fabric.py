"""What the fabric must have heard from a machine; read from the emulator's journal."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.fabric import ECHO
from tests.fabric.emulator import handler_items
from tests.vm.lab import Booted

PROTECTED = "fabric secret"


def see_health(on: Booted) -> tuple[bool, str]:
    """Provisioning was reported, then Ready, each once."""
    reports = on.machine.fabric.world.received.health
    seen = [f"{r.state}{'/' + r.sub_status if r.sub_status else ''}" for r in reports]
    return seen == ["NotReady/Provisioning", "Ready"], ", ".join(seen) or "nothing"


def settings_status(document: dict[str, Any], name: str = ECHO) -> dict[str, Any]:
    """What an extension itself said, in a status document."""
    item = handler_items(document, name)[0]
    status: dict[str, Any] = item["runtimeSettingsStatus"]["settingsStatus"]["status"]
    return status


def see_extension(on: Booted) -> tuple[bool, str]:
    """The extension ran with its secret, and its success is in the status blob."""
    document = on.machine.fabric.world.received.statuses[-1]
    item = handler_items(document, ECHO)[0]
    status = settings_status(document)
    digest = hashlib.sha256(PROTECTED.encode()).hexdigest()
    good = item["status"] == "Ready" and status["status"] == "success"
    good = good and digest in status["formattedMessage"]["message"]
    calls = on.machine.read("/var/log/extension-calls.txt")
    ran = [line.split()[1] for line in calls.splitlines() if line.startswith("== ")]
    good = good and ran == ["install", "enable"]
    return good, f"{ECHO}: {item['status']}, {status['status']}; commands run: {', '.join(ran)}"


def see_telemetry(on: Booted) -> tuple[bool, str]:
    """Events arrived that say what the agent did."""
    events = [event["params"] for event in on.machine.fabric.world.received.events]
    seen = sorted({event["Operation"] for event in events if "Operation" in event})
    good = {"Provision", "Install", "Enable"} <= set(seen)
    return good, f"{len(events)} events: {', '.join(seen)}"


def see_protocol(on: Booted) -> tuple[bool, str]:
    """No request broke the protocol."""
    count = len(on.machine.fabric.journal.entries())
    broken = on.machine.fabric.violations
    return not broken, "; ".join(broken) or f"{count} requests, all as the fabric expects"
