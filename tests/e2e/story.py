"""The story of the recordings, told to one machine: the same wishes in the same order.

What each step of it sent is in `cuts.records` under the recording's name; what the machine looked
like is in `facts` and `listings`.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any, Optional

from tests.demo.guest import AGENT, Guest
from tests.e2e.cuts import (
    Condition,
    Cutter,
    Kept,
    Marker,
    answered,
    asks_goal_state,
    both,
    fetches,
    is_any,
    lacks,
    reports,
)
from tests.e2e.kills import await_true
from tests.e2e.listing import list_files
from tests.e2e.looks import look_at, look_at_user
from tests.fabric import ECHO, Dependency, Extension, JitUser, Settings
from tests.fabric.model import (
    BLOCK_BLOB,
    DISABLED,
    ENABLED,
    FAST_TRACK_FABRIC,
    FAST_TRACK_OFF,
    FAST_TRACK_ON,
    PAGE_BLOB,
    PUBLISHER,
    ExtensionGoal,
)

SECOND, MULTI = f"{PUBLISHER}.Second", f"{PUBLISHER}.Multi"
RENAMED = "renamed-vm"
# Settings of steps whose requests were not recorded, but their calls were.
LAST_UNRECORDED = range(11, 22)
CALLS = "/var/log/extension-calls.txt"
EXPIRES = "Fri, 31 Dec 2100 10:00:00 GMT"
LOG = "/var/log/waagent.log"
PUBLISHED = "/var/lib/waagent/published_hostname"


class Story:
    """One machine, and what becomes of it."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.cuts = Cutter(guest.fabric)
        self.kept = Kept()
        self._daemon = 0

    def play(self) -> None:
        """All of it."""
        self._provision()
        self._change_settings()
        self._add_second()
        self._fail_and_recover()
        self._upgrade()
        self._configure_several()
        self._uninstall()
        self._disable_and_enable()
        self._rename()
        self._allow_just_in_time()
        self._move()
        self._write_page_blob()
        self._hold()
        self._go_fast()
        self._download_by_host()
        self._restart_machine()
        self.cuts.keep_rest("story")
        self._deprovision()
        self.kept.records = self.cuts.records

    def _provision(self) -> None:
        """01: first boot."""
        self._daemon = self.guest.start_daemon()
        fabric = self.guest.fabric
        fabric.await_ready()
        self.cuts.cut("01-provision", 0, is_any, reports(ECHO, 0))
        for endpoint, count in (
            ("wire.telemetry", 1), ("hgap.health", 1), ("imds.instance", 1),
            ("wire.healthservice", 4),
        ):  # fmt: skip
            fabric.await_requests(endpoint, count)
        self.cuts.await_turn()
        self.kept.listings["files-provision"] = list_files(self.guest)
        self.kept.facts["provision"] = look_at(self.guest)

    def _change_settings(self) -> None:
        """02: settings with the next number."""
        with self._step("02-settings", reports(ECHO, 1)):
            self._settings("second", protected={"secret": "another secret"})
        self.cuts.await_turn()
        self.kept.listings["files-extension"] = list_files(self.guest)

    def _add_second(self) -> None:
        """03: an extension that waits for the first."""
        second = Settings(0, {"echo": "dependent"}, level=1, depends_on=(Dependency(ECHO),))

        def add(goal: ExtensionGoal) -> ExtensionGoal:
            echo = replace(goal.extensions[0], settings=(Settings(2, {"echo": "base"}),))
            return replace(goal, extensions=(Extension(SECOND, "2.0.0", settings=(second,)), echo))

        with self._step("03-second", both(reports(SECOND, 0), reports(ECHO, 2))):
            self.guest.fabric.portal.set_goal(add)

    def _fail_and_recover(self) -> None:
        """04: enable ends with 5, then well."""
        with self._step("04-failing", reports(ECHO, 3, "error", state="NotReady")):
            self._settings("bad", exit=5)
        with self._step("04-failing", reports(ECHO, 4)):
            self._settings("good again")

    def _upgrade(self) -> None:
        """05: another version."""
        with self._step("05-upgrade", reports(ECHO, 5, version="1.1.0")):
            self._update(version="1.1.0", echo="upgraded")

    def _configure_several(self) -> None:
        """06: a handler of two configurations, of which one changes and one goes."""
        one, two = (
            Settings(0, {"echo": text}, name=name) for name, text in (("one", "a"), ("two", "b"))
        )
        multi = Extension(MULTI, settings=(one, two), multi_config=True)
        portal = self.guest.fabric.portal
        is_there = both(reports(MULTI, 0, config="one"), reports(MULTI, 0, config="two"))
        with self._step("06-multi", is_there):
            portal.put_extension(multi)
        fewer = (replace(one, seq_no=1), replace(two, state=DISABLED))
        with self._step("06-multi", reports(MULTI, 1, config="one")):
            portal.put_extension(replace(multi, settings=fewer))
        self.cuts.await_turn()
        self.kept.listings["files-multi"] = list_files(self.guest)

    def _uninstall(self) -> None:
        """07: two extensions go."""
        with self._step("07-uninstall", both(lacks(SECOND, MULTI), reports(ECHO, 5))):
            self.guest.fabric.portal.remove_extensions(SECOND, MULTI)

    def _disable_and_enable(self) -> None:
        """08: disabled, then enabled with other settings; what went is listed no longer."""
        portal = self.guest.fabric.portal
        with self._step("08-disable", reports(ECHO, 5, state="NotReady")):
            portal.drop_extensions(SECOND, MULTI)
            portal.update_extension(ECHO, state=DISABLED)
        with self._step("08-disable", reports(ECHO, 6)):
            self._update(state=ENABLED, echo="back")

    def _rename(self) -> None:
        """09: the machine gets another name by hand."""
        assert self.guest.run("hostname", RENAMED).code == 0
        await_true(lambda: self.guest.read(PUBLISHED).strip() == RENAMED, "the new name's record")
        self.cuts.cut("09-hostname", self.cuts.now, asks_goal_state, reports(ECHO, 6))

    def _allow_just_in_time(self) -> None:
        """10: a user for a while."""
        platform = self.guest.fabric.platform
        with self._step("10-jit", reports(ECHO, 6)):
            platform.set_users((JitUser("jituser", "Jit-password-1", EXPIRES),))
        await_true(lambda: self._has("jituser"), "the user that is lent")
        self.kept.facts["jit"] = look_at_user(self.guest, "jituser")
        with self._step("10-jit", reports(ECHO, 6)):
            platform.set_users(())
        await_true(lambda: not self._has("jituser"), "the end of the user that was lent")
        self.kept.facts["jit"]["afterwards"] = self.guest.read("/etc/sudoers.d/waagent").strip()

    def _move(self) -> None:
        """11: another container."""
        with self._step("11-container", reports(ECHO, 6)):
            self.guest.fabric.platform.change(users=None)
            self.guest.fabric.platform.move_to_new_container()

    def _write_page_blob(self) -> None:
        """12: the status as a page blob, through the host and past it, and a block blob again."""
        fabric = self.guest.fabric
        with self._step("12-page_blob", reports(ECHO, 6)):
            fabric.platform.change(blob_type=PAGE_BLOB)
        since = self.cuts.now
        fabric.fault("hgap.status", "BAD_REQUEST")
        fabric.fault("hgap.status", "BROKEN", count=1)
        self.cuts.cut("12-page_blob", since, lambda e: bool(e.fault), reports(ECHO, 6))
        fabric.clear_faults()
        with self._step("12-page_blob", reports(ECHO, 6)):
            fabric.platform.change(blob_type=BLOCK_BLOB)

    def _hold(self) -> None:
        """13: the platform says wait, then go on; one upload is told that it is out of date."""
        fabric = self.guest.fabric
        with self._step("13-on_hold", reports(ECHO, 7, "transitioning")):
            self._settings("held")
            fabric.platform.change(new_incarnation=False, on_hold=True)
        since = self.cuts.now
        fabric.fault("hgap.status", "GONE", count=1)
        self.cuts.cut(
            "13-on_hold", since, lambda e: bool(e.fault), reports(ECHO, 7, "transitioning")
        )
        with self._step("13-on_hold", reports(ECHO, 7)):
            fabric.platform.change(on_hold=False)
        with self._step("unrecorded", reports(ECHO, 7)):
            fabric.platform.change()

    def _go_fast(self) -> None:
        """15: the service starts anew and hears of goals from the host, then from the fabric."""
        fabric = self.guest.fabric
        self._stop()
        since = self.cuts.now
        fabric.platform.change(new_incarnation=False, fast_track=FAST_TRACK_FABRIC)
        self._settings("fast", protected={"secret": "fast secret"})
        self._daemon = self.guest.start_daemon()
        self.cuts.cut("15-fast_track", since, is_any, reports(ECHO, 8))
        with self._step("15-fast_track", reports(ECHO, 9), answered):
            fabric.platform.change(new_incarnation=False, fast_track=FAST_TRACK_ON)
            self._settings("faster")
            goal = replace(fabric.vm.fast_goal, in_svd_seq_no=fabric.vm.incarnation + 2)
            fabric.platform.change(new_incarnation=False, fast_goal=goal)
        with self._step("15-fast_track", reports(ECHO, 10)):
            fabric.platform.change(
                new_incarnation=False, fast_track=FAST_TRACK_OFF, goal=fabric.vm.fast_goal
            )
            self._settings("fabric again")

    def _download_by_host(self) -> None:
        """17: storage cannot be reached from the machine.

        Before it came settings upon settings, whose requests were not recorded: one of them is
        played, as the last.
        """
        fabric = self.guest.fabric
        with self._step("unrecorded", reports(ECHO, LAST_UNRECORDED[-1])):
            for _ in LAST_UNRECORDED[:-1]:
                fabric.world.next_revision()
            last = Settings(LAST_UNRECORDED[-1], {"echo": "the last"})
            fabric.portal.update_extension(ECHO, settings=(last,))
        fabric.fault("storage.", "NOT_FOUND")
        fabric.fault("storage.", "UNAVAILABLE", count=1)
        with self._step("17-package_fallback", reports(ECHO, 22, version="1.2.0")):
            self._update(version="1.2.0", echo="via host")
        fabric.clear_faults()

    def _restart_machine(self) -> None:
        """18: a reboot, as far as a view can have one: the agent ends, its pid file is gone."""
        self._stop()
        self.guest.path("/run/waagent.pid").unlink(missing_ok=True)
        since = self.cuts.now
        self._daemon = self.guest.start_daemon()
        self.cuts.cut("18-reboot", since, is_any, reports(ECHO, 22, version="1.2.0"))
        self.kept.facts["whole"] = {
            "log": self.guest.read(LOG), "calls": self.guest.read(CALLS),
        }  # fmt: skip

    def _deprovision(self) -> None:
        """The machine becomes an image."""
        self._stop()
        done = self.guest.run(AGENT, "-deprovision+user", "-force")
        self.kept.facts["deprovision"] = {"output": done.output, "code": str(done.code)}
        self.kept.facts["deprovision"]["hostname"] = self.guest.run("hostname").output.strip()
        self.kept.listings["files-deprovision"] = list_files(self.guest)

    def _has(self, user: str) -> bool:
        return self.guest.run("getent", "passwd", user).code == 0

    def _stop(self) -> None:
        self.guest.kill(self._daemon, signal.SIGTERM)
        assert self.guest.await_exit(self._daemon) == 0

    def _settings(self, echo: str, *, protected: Any = None, **public: Any) -> None:
        self.guest.fabric.portal.update_settings(ECHO, {"echo": echo, **public}, protected)

    def _update(self, *, echo: str, **facts: Any) -> None:
        portal = self.guest.fabric.portal
        extension = portal.find(ECHO)
        item = Settings(extension.settings[0].seq_no + 1, {"echo": echo})
        portal.update_extension(ECHO, settings=(item,), **facts)

    def _step(self, name: str, until: Condition, marker: Optional[Marker] = None) -> _Step:
        return _Step(self.cuts, self.guest, name, until, marker)


class _Step:
    """Changes that the machine sees at one blow, and the wait for what comes of them."""

    def __init__(
        self, cuts: Cutter, guest: Guest, name: str, until: Condition, marker: Optional[Marker]
    ) -> None:
        self._cuts, self._fabric = cuts, guest.fabric
        self._name, self._until, self._marker = name, until, marker

    def __enter__(self) -> None:
        self._since = self._cuts.now
        self._fabric.world.lock.acquire()

    def __exit__(self, kind: object, *_: object) -> None:
        marker = self._marker or fetches(self._fabric.vm.incarnation)
        self._fabric.world.lock.release()
        if kind is None:
            self._cuts.cut(self._name, self._since, marker, self._until)
