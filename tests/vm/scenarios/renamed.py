"""The machine gets another name while somebody is logged in: the network never goes away."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

from tests.fabric import ECHO
from tests.support.findings import Finding, look_at
from tests.vm.lab import Lab
from tests.vm.looks_machine import LIB, LOG
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
NEW_NAME = "renamed-vm"
WATCHED = "/tmp/ip-monitor"
LASTS_S = 30
LONGEST_GAP_S = 2.0
PROBE = "192.0.2.1"
# A byte ten times a second, for as long as the whole change takes.
STREAM = f"i=0; while [ $i -lt {LASTS_S * 10} ]; do printf .; sleep 0.1; i=$((i+1)); done; echo"


def play(lab: Lab) -> Iterator[Finding]:
    """Log in, change the name, look at the stream, the interface and the DHCP server."""
    with lab.machine(lab.person.media(hostname=lab.media_hostname)) as machine:
        story = Story(machine, lab)
        looks = (
            ("the machine boots and gets Ready", story.boots),
            ("the new name is published", story.is_published),
            ("the DHCP server hears the new name", story.is_heard),
            ("the session lives on", story.streams_on),
            ("no link went down, no address was removed", story.keeps_its_network),
            ("nobody was told twice", story.tells_once),
        )
        yield from look_at(looks, *ODD)
        machine.switch_off()


class Stream:
    """What comes over the network, and the longest time in which nothing came."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.longest_s, self.count, self.rest = 0.0, 0, ""
        self._thread.start()

    def await_begin(self) -> None:
        """Wait for the first byte."""
        if not self._began.wait(30):
            raise MachineFailed(f"nothing comes over ssh: {self.rest}")

    def end(self, within_s: float) -> int:
        """Wait until the session ends by itself; its exit code."""
        self._thread.join(within_s)
        self._process.kill()
        return self._process.wait()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        last = 0.0
        while byte := stream.read(1):
            now = time.monotonic()
            if byte != ".":
                self.rest += byte
                continue
            self.count += 1
            self.longest_s = max(self.longest_s, now - last) if last else 0.0
            last = now
            self._began.set()
        self._process.wait()


class Story:
    """One machine that is renamed; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self._machine, self._lab = machine, lab
        self._before = ""

    def boots(self) -> tuple[bool, str]:
        """Everything is done, so that nothing else disturbs the stream."""
        self._machine.fabric.await_ready(PATIENCE_S)
        self._machine.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
        self._machine.await_up()
        self._before = self._machine.must("ip", "-4", "-o", "address", "show", "dev", "eth0")
        watch = f"ip monitor link address route >{WATCHED} 2>&1 &"
        self._machine.must("sh", "-c", watch)
        return True, self._before

    def is_published(self) -> tuple[bool, str]:
        """The administrator sets it; the agent notices, and keeps a record."""
        person = self._lab.person
        key = ("-i", str(person.private_key))
        session = self._machine.begin_ssh(person.name, STREAM, *key, within_s=LASTS_S * 3)
        self._stream = Stream(session)
        self._stream.await_begin()
        asked = time.monotonic()
        self._machine.must("hostnamectl", "set-hostname", NEW_NAME)
        self._machine.must(
            *("timeout", "60", "sh", "-c"),
            f"until grep -qx {NEW_NAME} {LIB}/published_hostname; do sleep 0.2; done",
            within_s=70,
        )
        return True, f"{time.monotonic() - asked:.1f} s after it was set"

    def is_heard(self) -> tuple[bool, str]:
        """A request with the name came from the machine."""
        journal = self._machine.fabric.journal

        def heard() -> list[str]:
            mine = [e for e in journal.entries() if e.endpoint == "dhcp"]
            return [f"{e.method} {e.answer}" for e in mine if e.url.endswith(f"/{NEW_NAME}")]

        self._machine.fabric.await_(lambda: bool(heard()), 30, "a request with the new name")
        return all(line.endswith(" 200") for line in heard()), ", ".join(heard())

    def streams_on(self) -> tuple[bool, str]:
        """The session ends by itself, with all that it had to say."""
        code = self._stream.end(LASTS_S * 3)
        stream = self._stream
        text = f"{stream.count} bytes, the longest gap {stream.longest_s:.2f} s, exit code {code}"
        good = code == 0 and stream.count == LASTS_S * 10 and stream.longest_s < LONGEST_GAP_S
        return good, f"{text} {stream.rest.strip()}"

    def keeps_its_network(self) -> tuple[bool, str]:
        """What the kernel told whoever listens to it."""
        for verb in ("add", "del"):  # it would have been seen
            self._machine.must("ip", "address", verb, f"{PROBE}/32", "dev", "lo")
        told = self._machine.read(WATCHED).splitlines()
        ours = [line for line in told if PROBE in line]
        if not any("Deleted" in line for line in ours):
            return False, f"ip monitor did not see what was done: {told}"
        bad = [line for line in told if "Deleted" in line or "state DOWN" in line]
        bad = [line for line in bad if line not in ours]
        now = self._machine.must("ip", "-4", "-o", "address", "show", "dev", "eth0")
        same = now.split()[3] == self._before.split()[3]
        return not bad and same, "; ".join(bad) or f"{len(told)} lines of ip monitor; {now}"

    def tells_once(self) -> tuple[bool, str]:
        """One change, one line."""
        line = f"EnvMonitor: Detected hostname change: {self._lab.media_hostname} -> {NEW_NAME}"
        count = self._machine.read(LOG).count(line)
        return count == 1, f"{count} x {line}"
