"""A first boot from media to the first extension, seen from outside; then a restart."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.demo.guest import AGENT, Guest
from tests.e2e.facts import LIB, Wish, complaints
from tests.fabric import ECHO

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def wish() -> Wish:
    return Wish()


@pytest.fixture(scope="module")
def booted(wish: Wish) -> Iterator[tuple[Guest, int]]:
    """A guest after its first boot, and the daemon's process id."""
    with Guest(wish.vm(), wish.media(), conf={"Provisioning.DeleteRootPassword": "y"}) as guest:
        daemon = guest.start_daemon()
        guest.fabric.await_ready()
        guest.fabric.await_extension(ECHO, seq_no=0)
        guest.fabric.await_requests("wire.telemetry", 1)
        yield guest, daemon
        guest.fabric.assert_clean()


def test_first_boot_sets_the_machine_up(booted: tuple[Guest, int], wish: Wish) -> None:
    guest, _ = booted
    assert complaints(guest, wish) == []


def test_first_boot_leaves_secrets_for_root_only(booted: tuple[Guest, int]) -> None:
    guest, _ = booted
    assert guest.mode(LIB) == 0o700
    secrets = [
        name
        for pattern in ("*.prv", "*.pem", "*.crt", "Certificates.*", "ovf-env.xml", "CustomData")
        for name in guest.run("sh", "-c", f"ls {LIB}/{pattern}").output.split()
    ]
    assert len(secrets) >= 8
    assert {name: oct(guest.mode(name)) for name in secrets if guest.mode(name) & 0o077} == {}


def test_extension_ran_with_its_protected_settings(booted: tuple[Guest, int]) -> None:
    guest, _ = booted
    item = guest.fabric.await_extension(ECHO, seq_no=0)
    message = item["runtimeSettingsStatus"]["settingsStatus"]["status"]["formattedMessage"]
    assert "secret_sha256=none" not in message["message"]


def test_what_the_agent_believes_is_shown(booted: tuple[Guest, int]) -> None:
    guest, _ = booted
    text = guest.run(AGENT, "-show-goal-state")
    print(f"\n{text.output}")
    assert text.code == 0
    assert f"{ECHO} 1.0.0: enabled wanted, Enabled here" in text.output
    document = json.loads(guest.run(AGENT, "-show-goal-state", "-json").output)
    assert document["running"] is True
    assert f"{document['agent']['pid']}" in {str(pid) for pid in guest.processes}
    assert document["status_upload"]["way"] == "through the host"


def test_stop_and_start_come_back_without_provisioning_again(
    booted: tuple[Guest, int], wish: Wish
) -> None:
    guest, daemon = booted
    started = time.monotonic()
    guest.kill(daemon, signal.SIGTERM)
    assert guest.await_exit(daemon, 5.0) == 0
    assert time.monotonic() - started < 5.0
    # sshd was started for the user: it is a service of the machine, and stays.
    left = [argv for _, argv in guest.processes.values() if not argv.startswith("sshd:")]
    assert len(left) == 1, "something of the agent is left"

    health = len(guest.fabric.journal.entries("wire.health"))
    uploads = len(guest.fabric.journal.entries("hgap.status"))
    guest.start_daemon()
    guest.fabric.await_requests("hgap.status", uploads + 1)
    assert len(guest.fabric.journal.entries("wire.health")) == health
    assert complaints(guest, wish) == []
