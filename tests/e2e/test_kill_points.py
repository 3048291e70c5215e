"""SIGKILL at the worst moments of a first boot: the next start ends Ready, with all that was asked.

`pytest -v` of this file is the table of points.
"""

from __future__ import annotations

import time

import pytest

from tests.demo.guest import Guest
from tests.e2e.facts import Wish, complaints
from tests.e2e.kills import CHILD, DAEMON, GO_ON, KILLS, RUNS, Kill, await_true
from tests.fabric import ECHO

pytestmark = pytest.mark.root

# Custom data that takes a while the first time: it is run at most once, whatever happens.
SCRIPT = f"""#!/bin/sh
echo run >>{RUNS}
n=0; while [ ! -e {GO_ON} ] && [ $n -lt 20 ]; do sleep 0.05; n=$((n + 1)); done
"""
CONF = {
    "Provisioning.DeleteRootPassword": "y",
    "Provisioning.ExecuteCustomData": "y",
    "Provisioning.RegenerateSshHostKeyPair": "y",
}


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.name)
def test_first_boot_killed_ends_ready_after_the_next_start(kill: Kill) -> None:
    wish = Wish(custom_data=SCRIPT.encode())
    with Guest(kill.vm(), wish.media(), conf=CONF, files=kill.files()) as guest:
        kill.arm(guest)
        daemon = guest.start_daemon()
        kill.strike(guest, daemon)
        if kill.victim == DAEMON:
            guest.start_daemon()
        started = time.monotonic()
        guest.fabric.await_ready()
        ready_s = time.monotonic() - started
        guest.fabric.await_extension(ECHO, seq_no=0)
        await_true(lambda: _is_settled(guest), "one daemon with one child")
        assert complaints(guest, wish) == []
        assert guest.read(RUNS).splitlines() == ["run"]
        print(f"{kill.name}: Ready {ready_s:.1f} s, extension {time.monotonic() - started:.1f} s")


def _is_settled(guest: Guest) -> bool:
    commands = [words for _, words in guest.processes.values()]
    return [sum(kind in words for words in commands) for kind in (DAEMON, CHILD)] == [1, 1]
