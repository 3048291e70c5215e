"""First boots with other media or another configuration: what each sent and left behind."""

from __future__ import annotations

from dataclasses import replace

from tests.demo.guest import AGENT, Guest
from tests.e2e.cuts import Cutter, Kept, fetches, is_any, reports
from tests.e2e.facts import KEY, USER, make_password
from tests.e2e.kills import await_true
from tests.e2e.listing import as_listing, list_files
from tests.e2e.looks import look_at
from tests.fabric import ECHO, first_boot
from tests.fabric.certificates import first_set
from tests.fabric.media import MediaKey, OvfMedia

QUICK = {"Extensions.GoalStatePeriod": "1", "Provisioning.DeleteRootPassword": "y"}
AUTHORIZED = f"$HOME/{USER}/.ssh/authorized_keys"
LIB = "/var/lib/waagent"


def media(*, has_password: bool = True, has_key: bool = True) -> OvfMedia:
    """The media of the recordings: a password, custom data, a key by its text and one by name."""
    named = next(one.thumbprint for one in first_set() if one.key is not None)
    keys = (MediaKey(AUTHORIZED, KEY), MediaKey(AUTHORIZED, fingerprint=named))
    return OvfMedia(
        user=USER,
        password=make_password() if has_password else None,
        disable_password_authentication=has_key,
        keys=keys if has_key else (),
        custom_data=b"custom data of the recording" if has_password else None,
    )


def boot_with_key_only() -> Kept:
    """A key, no password."""
    return _boot("key-only", media(has_password=False))


def boot_with_password_only() -> Kept:
    """A password, no key."""
    return _boot("password-only", media(has_key=False))


def boot_without_agent() -> Kept:
    """Media that wants the machine set up and no agent on it: the daemon idles."""
    kept = Kept()
    wish = replace(media(), provision_guest_agent="false")
    with Guest(first_boot(), wish, conf=QUICK) as guest:
        guest.start_daemon()
        guest.fabric.await_ready()
        await_true(lambda: guest.exists(f"{LIB}/disable_agent"), "the agent to be disabled")
        cuts = Cutter(guest.fabric)
        cuts.keep("no-agent-01-no_agent", guest.fabric.journal.entries())
        kept.records = cuts.records
        await_true(lambda: len(_agents(guest)) == 1, "the helper of the boot to end")
        kept.listings["no-agent"] = as_listing(guest.run("ls", LIB).output)
        kept.facts["no-agent"] = {"processes": _agents(guest)[0].rpartition(" ")[2]}
        guest.fabric.assert_clean()
    return kept


def boot_with_updates() -> Kept:
    """A machine that may update its agent: the running version is asked for by RSM."""
    kept = Kept()
    with Guest(first_boot(), media(), conf={**QUICK, "AutoUpdate.Enabled": "y"}) as guest:
        guest.start_daemon()
        fabric, cuts = guest.fabric, Cutter(guest.fabric)
        cuts.cut("autoupdate-01-provision", 0, is_any, reports(ECHO, 0))
        cuts.await_turn()
        kept.listings["autoupdate-files-provision"] = list_files(guest)
        kept.facts["autoupdate"] = look_at(guest)
        document = cuts.statuses["autoupdate-01-provision"]
        version = document["aggregateStatus"]["guestAgentStatus"]["version"]
        since = cuts.now
        fabric.platform.offer_agent(version, by_rsm=True)
        marker = fetches(fabric.vm.incarnation)
        cuts.cut("autoupdate-02-rsm", since, marker, reports(ECHO, 0))
        fabric.world.next_revision()  # a goal state of theirs that was not recorded
        fabric.portal.update_settings(ECHO, {"echo": "second"}, {"secret": "another secret"})
        fabric.await_extension(ECHO, seq_no=1)
        cuts.await_turn()
        kept.listings["autoupdate-files-extension"] = list_files(guest)
        kept.records = cuts.records
        fabric.assert_clean()
    return kept


def _agents(guest: Guest) -> list[str]:
    """The command lines of the agent's own processes."""
    return [argv for _, argv in guest.processes.values() if AGENT in argv]


def _boot(name: str, wish: OvfMedia) -> Kept:
    kept = Kept()
    with Guest(first_boot(), wish, conf=QUICK) as guest:
        guest.start_daemon()
        cuts = Cutter(guest.fabric)
        cuts.cut(name, 0, is_any, reports(ECHO, 0))
        kept.records = cuts.records
        cuts.await_turn()
        kept.listings[f"{name}-files-provision"] = list_files(guest)
        kept.facts[name] = look_at(guest)
        guest.fabric.assert_clean()
    return kept
