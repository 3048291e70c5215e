"""Extensions come and go: a secret, an update, a dependency, a failure, removal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.fabric import ECHO
from tests.fabric.emulator import handler_items
from tests.fabric.model import DISABLED, Dependency, Extension, JitUser, Settings
from tests.support.findings import Finding, look_at
from tests.vm import looks_fabric
from tests.vm.lab import Booted, Lab
from tests.vm.looks_machine import LIB
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
SECOND, SEVERAL = "Fabric.Test.Second", "Fabric.Test.Several"
CALLS = "/var/log/extension-calls.txt"
CALL = re.compile(r"^== (\S+) handler=(\S+) version=(\S+) ", re.MULTILINE)
ENABLE_FAILED = 1009
NEWER = "1.1.0"
LENT = "lent"


def play(lab: Lab) -> Iterator[Finding]:
    """Change what is wanted, step by step, and look at commands, files and the status blob."""
    with lab.machine(lab.person.media(hostname=lab.media_hostname)) as machine:
        story, lent = Story(machine, lab), Lent(machine, lab.person.password)
        looks = (
            ("the first one opens its secret with openssl", story.opens_its_secret),
            ("its certificate and key are root's alone", story.keeps_keys_closed),
            ("an update runs five commands in order", story.is_updated),
            ("one that depends on another waits for it", story.waits_for_another),
            ("one that fails is told, the other goes on", story.fails_alone),
            ("good settings cure it", story.is_cured),
            ("several settings of one handler", story.has_several),
            ("one of them is disabled, the other stays", story.disables_one),
            ("two are uninstalled, nothing of them stays", story.are_uninstalled),
            ("a lent account logs in by its password", lent.comes_in),
            ("it is taken away, session and home too", lent.is_taken_away),
            ("no request broke the protocol", story.keeps_to_the_protocol),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()


class Story:
    """The steps on one machine; each continues where the one before ended."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self.machine, self.lab = machine, lab
        self.seen = 0

    def opens_its_secret(self) -> tuple[bool, str]:
        """The machine boots; what the extension decrypted has the secret's digest."""
        fabric = self.machine.fabric
        fabric.await_ready(PATIENCE_S)
        fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        self._new_calls()
        return looks_fabric.see_extension(Booted(self.machine, self.lab))

    def keeps_keys_closed(self) -> tuple[bool, str]:
        """The files that it used; no key is readable for others."""
        names = self.machine.must("sh", "-c", f"stat -c '%a %U %n' {LIB}/*.prv {LIB}/*.crt")
        rows = [line.split(" ", 2) for line in names.splitlines()]
        good = {row[2].rpartition(".")[2] for row in rows} == {"prv", "crt"}
        good = good and all(row[1] == "root" for row in rows)
        good = good and all(row[0] in ("400", "600") for row in rows if row[2].endswith(".prv"))
        return good, "; ".join(f"{mode} {name.rpartition('.')[2]}" for mode, _, name in rows)

    def is_updated(self) -> tuple[bool, str]:
        """Old disable, new update, old uninstall, new install, new enable."""
        fabric = self.machine.fabric
        fabric.portal.update_extension(ECHO, version=NEWER)
        fabric.await_extension(ECHO, seq_no=0, version=NEWER, within_s=PATIENCE_S)
        calls = [(command, version) for command, _, version in self._new_calls()]
        folders = self._folders(ECHO)
        expected = [
            ("disable", "1.0.0"),
            ("update", NEWER),
            ("uninstall", "1.0.0"),
            ("install", NEWER),
            ("enable", NEWER),
        ]
        text = ", ".join(f"{command} {version}" for command, version in calls)
        return calls == expected and folders == [f"{ECHO}-{NEWER}"], f"{text}; {folders}"

    def waits_for_another(self) -> tuple[bool, str]:
        """The second begins only after the first, which takes three seconds, has succeeded."""
        fabric = self.machine.fabric
        first = fabric.portal.find(ECHO).settings[0]
        slow = Settings(first.seq_no + 1, {"echo": "slow", "pause": 3}, first.protected, level=1)
        needs = Settings(0, {"echo": "after"}, level=2, depends_on=(Dependency(ECHO),))

        fabric.portal.update_extension(ECHO, settings=(slow,))
        fabric.portal.put_extension(Extension(SECOND, "2.0.0", settings=(needs,)))
        fabric.await_extension(SECOND, seq_no=0, within_s=PATIENCE_S)
        calls = [(name, command) for command, name, _ in self._new_calls()]
        second = [command for name, command in calls if name == SECOND]
        good = second == ["install", "enable"]
        good = good and calls.index((ECHO, "enable")) < calls.index((SECOND, "install"))
        times = self._times()
        apart = times[(SECOND, "install")] - times[(ECHO, "enable")]
        return good and apart >= 3, f"the second's install {apart} s after the first's enable"

    def fails_alone(self) -> tuple[bool, str]:
        """Enable exits with 5: NotReady, its code and output; what came before it is well."""
        fabric = self.machine.fabric
        before = fabric.portal.find(SECOND).settings[0]
        broken = replace(before, seq_no=1, public={"echo": "broken", "exit": 5})
        fabric.portal.update_extension(SECOND, settings=(broken,))
        fabric.await_extension(SECOND, seq_no=1, status="error", within_s=PATIENCE_S)
        document = fabric.await_status(
            lambda one: self._item(one, SECOND)["status"] == "NotReady", within_s=PATIENCE_S
        )
        failed, other = self._item(document, SECOND), self._item(document, ECHO)
        message = failed["formattedMessage"]["message"]
        good = failed["code"] == ENABLE_FAILED and "Non-zero exit code: 5" in message
        good = good and "fabric stderr of enable" in message and other["status"] == "Ready"
        self._new_calls()
        return good, f"{failed['status']}, code {failed['code']}; {ECHO}: {other['status']}"

    def is_cured(self) -> tuple[bool, str]:
        """The next settings are good."""
        fabric = self.machine.fabric
        fabric.portal.update_settings(SECOND, {"echo": "good again"})
        fabric.await_extension(SECOND, seq_no=2, within_s=PATIENCE_S)
        document = fabric.world.received.statuses[-1]
        item = self._item(document, SECOND)
        self._new_calls()
        return item["status"] == "Ready", f"{SECOND}: {item['status']}"

    def has_several(self) -> tuple[bool, str]:
        """Each configuration is enabled by itself, and reported by itself."""
        fabric = self.machine.fabric
        settings = tuple(Settings(0, {"echo": name}, name=name) for name in ("one", "two"))
        fabric.portal.put_extension(
            Extension(SEVERAL, "3.0.0", settings=settings, multi_config=True)
        )
        for name in ("one", "two"):
            fabric.await_extension(SEVERAL, seq_no=0, config=name, within_s=PATIENCE_S)
        calls = [command for command, name, _ in self._new_calls() if name == SEVERAL]
        return calls == ["install", "enable", "enable"], f"commands run: {', '.join(calls)}"

    def disables_one(self) -> tuple[bool, str]:
        """The one that is disabled is reported no more; the other is enabled again."""
        fabric = self.machine.fabric
        one, two = fabric.portal.find(SEVERAL).settings
        off = Settings(two.seq_no, two.public, name=two.name, state=DISABLED)
        statuses = len(fabric.world.received.statuses)
        fabric.portal.update_extension(SEVERAL, settings=(one, off))
        fabric.await_status(
            lambda document: self._configurations(document) == ["one"],
            since=statuses,
            within_s=PATIENCE_S,
        )
        calls = [command for command, name, _ in self._new_calls() if name == SEVERAL]
        return sorted(calls) == ["disable", "enable"], f"commands run: {', '.join(calls)}"

    def are_uninstalled(self) -> tuple[bool, str]:
        """Disable and uninstall run, the folders go, and the blob speaks of them no more."""
        fabric = self.machine.fabric
        statuses = len(fabric.world.received.statuses)
        fabric.portal.remove_extensions(SECOND, SEVERAL)
        document = fabric.await_status(
            lambda one: not handler_items(one, SECOND) and not handler_items(one, SEVERAL),
            since=statuses,
            within_s=PATIENCE_S,
        )
        calls = [(name, command) for command, name, _ in self._new_calls() if name != ECHO]
        expected = {(name, what) for name in (SECOND, SEVERAL) for what in ("disable", "uninstall")}
        left = [*self._folders(SECOND), *self._folders(SEVERAL)]
        good = len(calls) == len(expected) and set(calls) == expected and not left
        kept = self._item(document, ECHO)["status"]
        return good and kept == "Ready", f"{len(calls)} commands; left: {left}; {ECHO}: {kept}"

    def keeps_to_the_protocol(self) -> tuple[bool, str]:
        """All of it as the fabric expects."""
        return looks_fabric.see_protocol(Booted(self.machine, self.lab))

    def _new_calls(self) -> list[tuple[str, str, str]]:
        """Command, handler and version of each call since this was asked last."""
        text = self.machine.read(CALLS)
        calls = [(command, name, version) for command, name, version in CALL.findall(text)]
        new, self.seen = calls[self.seen :], len(calls)
        return new

    def _times(self) -> dict[tuple[str, str], int]:
        """When each command of a handler was called last, in seconds."""
        text = self.machine.read(CALLS)
        found = re.findall(r"^== (\S+) handler=(\S+) .*T(\d+):(\d+):(\d+)Z$", text, re.MULTILINE)
        return {
            (name, command): int(hour) * 3600 + int(minute) * 60 + int(second)
            for command, name, hour, minute, second in found
        }

    def _folders(self, handler: str) -> list[str]:
        """What is left of a handler in the lib dir."""
        return self.machine.must("sh", "-c", f"cd {LIB} && ls -d {handler}-* || true").split()

    def _item(self, document: dict[str, Any], name: str) -> dict[str, Any]:
        """What a status document says of a handler."""
        found: dict[str, Any] = handler_items(document, name)[0]
        return found

    def _configurations(self, document: dict[str, Any]) -> list[str]:
        """Which configurations of the handler with several are reported."""
        items = handler_items(document, SEVERAL)
        return sorted(item["runtimeSettingsStatus"]["extensionName"] for item in items)


class Lent:
    """An account that the fabric lends to somebody for a while."""

    def __init__(self, machine: Machine, password: str) -> None:
        self.machine, self.password = machine, password

    def comes_in(self) -> tuple[bool, str]:
        """A just-in-time user comes in by ssh, and is an administrator."""
        fabric = self.machine.fabric
        fabric.platform.set_users([JitUser(LENT, self.password)])
        self._await_account(exists=True)
        log_in = f"echo {self.password} | sudo -S -p '' id -un"
        done = self.machine.ssh_with_password(LENT, self.password, log_in)
        entry = self.machine.must("getent", "passwd", LENT).strip()
        return done.output.strip() == "root" and "JIT_Account" in entry, f"{done.said}; {entry}"

    def is_taken_away(self) -> tuple[bool, str]:
        """Once it is listed no more nothing of it is left."""
        self.machine.must("su", "-c", "setsid sleep 3600 >/dev/null 2>&1 </dev/null &", LENT)
        self.machine.fabric.platform.set_users([])
        self._await_account(exists=False)
        left = self.machine.run("sh", "-c", f"ls -d /home/{LENT}; pgrep -a -x sleep").output
        left += self.machine.run("grep", LENT, "/etc/sudoers.d/waagent").output
        return not left, left or "neither home nor process nor sudoers line is left"

    def _await_account(self, *, exists: bool) -> None:
        """Wait until the machine has the lent account, whole, or has it no more."""
        want = f"^{LENT}:[$]" if exists else ""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            line = self.machine.run("getent", "shadow", LENT).output.strip()
            if re.match(want, line) and bool(line) == exists:
                return
            if time.monotonic() > deadline:
                raise MachineFailed(f"the account {LENT} is {line[:20] or 'not there'}")
            self.machine.must("sleep", "1")
