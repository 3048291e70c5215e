"""Bad status files of many kinds at once, each another extension's, and the child as a process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fabric import Fabric, Vm, echo_extension
from tests.fabric.emulator import handler_items
from tests.integration.bad_statuses import BAD_FILES, WILD, content
from tests.support.agent import RootedAgent
from tests.support.child_process import end_child, leave_endpoint, start_child
from waagent.core.clock import SystemClock, timestamp_s

PROJECT = Path(__file__).resolve().parents[2]
# One of each family; all of them, one by one, are in test_bad_statuses.py.
BAD_KINDS = (
    "garbage", "deep", "invalid UTF-8", "infinity", "a hundred megabytes", "a pipe", "a folder",
    "a link to a device", "a link to itself", "a link to the accounts",
)  # fmt: skip
ODD_KINDS = ("long message", "many substatuses", "half characters")
BAD = {f"Bad.Status.N{number}": kind for number, kind in enumerate(BAD_KINDS)}
ODD = {f"Odd.Status.N{number}": kind for number, kind in enumerate(ODD_KINDS)}
GOOD = "Good.Status.One"
MOST_KB = 96 * 1024


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[RootedAgent, int]]:
    """A machine whose many extensions have all succeeded, and its child's process id."""
    with Fabric(Vm(has_certificates=False)) as fabric:
        for name in (*BAD, *ODD, GOOD):
            fabric.portal.put_extension(echo_extension(name, secret=None))
        machine = RootedAgent(tmp_path, fabric, clock=SystemClock())
        leave_endpoint(machine)
        child = start_child(tmp_path, fabric.address_book, output=subprocess.DEVNULL, errors=None)
        try:
            fabric.await_extension(GOOD, seq_no=0, within_s=90)
            yield machine, child.pid
            assert end_child(child) == 0, "none of it has ended the child"
        finally:
            child.kill()
            child.wait()


def said_of(document: dict[str, Any], name: str) -> tuple[str, int, str]:
    """Status, code and message of an extension in a report."""
    (item,) = handler_items(document, name)
    status = item["runtimeSettingsStatus"]["settingsStatus"]["status"]
    return status["status"], status["code"], status["formattedMessage"]["message"] or ""


def test_each_bad_status_is_an_error_of_its_own_and_all_others_are_reported(
    machine: tuple[RootedAgent, int],
) -> None:
    agent, pid = machine
    for name, kind in {**BAD, **ODD}.items():
        path = agent.handler(name) / "status" / "0.status"
        path.unlink()
        plant = BAD_FILES[kind][0] if name in BAD else content(WILD[kind])
        plant(path)
    there = timestamp_s(agent.clock.now())
    # A report is of the second in which it was begun: an earlier one has not seen all of them.
    agent.fabric.await_(lambda: agent.status["timestampUTC"] > there, 60, "a later report")
    document = agent.status
    assert said_of(document, GOOD)[0] == "success"
    for name, kind in BAD.items():
        _, code, why = BAD_FILES[kind]
        word, found, message = said_of(document, name)
        assert (word, found) == ("error" if code else "transitioning", code), (kind, message)
        assert any(each in message for each in why.split("|")), (kind, message)
        assert name in message
        assert "root:" not in message
    for name, kind in ODD.items():
        assert said_of(document, name)[0] == "success", kind
    peak = next(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    )
    print(f"\nthe child's most memory: {peak} kB; the report: {len(json.dumps(document))} bytes")
    assert peak < MOST_KB
