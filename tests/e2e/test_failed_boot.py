"""A first boot that fails: the portal is told, extensions run, and the next start makes it good."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.demo.guest import Guest
from tests.demo.plan import DRIVE
from tests.e2e.facts import LIB, Wish, complaints
from tests.e2e.kills import await_true
from tests.fabric import ECHO

pytestmark = pytest.mark.root

LOG = "/var/log/waagent.log"
REPAIRED = "/run/repaired"
BROKEN_USERADD = f"""#!/bin/sh
[ -e {REPAIRED} ] && exec /usr/sbin/useradd "$@"
echo "useradd: cannot lock /etc/passwd; try again later." >&2
exit 1
"""
CONF = {"Provisioning.DeleteRootPassword": "y"}


def test_failed_provisioning_keeps_the_media_runs_extensions_and_is_made_good() -> None:
    wish = Wish()
    broken = {"/usr/local/sbin/useradd": BROKEN_USERADD}
    with Guest(wish.vm(), wish.media(), conf=CONF, files=broken) as guest:
        guest.path("/usr/local/sbin/useradd").chmod(0o755)
        daemon = guest.start_daemon()
        guest.fabric.await_extension(ECHO, seq_no=0)
        reports = guest.fabric.world.received.health
        assert [report.sub_status for report in reports] == ["Provisioning", "ProvisioningFailed"]
        assert str(reports[-1].description).startswith(
            "[ProvisionError] Failed to provision: [OSUtilError] cannot create the user account"
        )
        assert guest.exists(DRIVE), "the password is on the media, and nowhere else"
        assert not guest.exists(f"{LIB}/provisioned")

        guest.path(REPAIRED).touch()
        guest.kill(daemon, signal.SIGTERM)
        assert guest.await_exit(daemon, 5.0) == 0
        guest.start_daemon()
        guest.fabric.await_ready()
        assert complaints(guest, wish) == []
        assert not guest.exists(DRIVE)
        guest.fabric.assert_clean()


def test_media_that_wants_no_agent_puts_it_to_sleep_after_ready() -> None:
    wish = Wish()
    media = replace(wish.media(), provision_guest_agent="false")
    with Guest(wish.vm(), media, conf=CONF) as guest:
        daemon = guest.start_daemon()
        guest.fabric.await_ready()
        await_true(lambda: "osProfile.allow" in guest.read(LOG), "the agent to be disabled")
        assert complaints(guest, wish) == []
        assert guest.exists(f"{LIB}/disable_agent")
        assert [words for _, words in guest.processes.values() if "-run-exthandlers" in words] == []
        guest.kill(daemon, signal.SIGTERM)
        assert guest.await_exit(daemon, 5.0) == 0
