"""`make demo`: a first boot, told as it happens. The code is 1 when anything went wrong.

Told to end, by Ctrl-C or a signal, it takes away what it made and says so.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.demo import outside
from tests.demo.findings import LIB, find_out, prepare
from tests.demo.guest import DAEMON_OUTPUT, Guest
from tests.demo.narrator import LogReader, Narrator
from tests.demo.process import GuestFailed
from tests.demo.timeline import Phase, render_timeline
from tests.fabric import ECHO, first_boot
from tests.fabric.media import MediaKey, OvfMedia, kernel_reads_discs
from tests.fabric.story import Story

USER = "demouser"
PATIENCE_S = 45.0
STOP_WITHIN_S = 5.0


class Failed(Exception):
    """A step of the demonstration did not do what it should."""


def read_system() -> str:
    """What this machine calls itself."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    names = [x.partition("=")[2].strip('"') for x in lines if x.startswith("PRETTY_NAME=")]
    return names[0] if names else "Linux"


def can_read_discs() -> bool:
    """Whether the kernel can mount the real media, by itself or with a module that it has."""
    if kernel_reads_discs(Path("/proc/filesystems").read_text(encoding="utf-8")):
        return True
    modules = Path("/lib/modules", platform.release(), "kernel/fs")
    return any(modules.glob("isofs/isofs.ko*")) or any(modules.glob("udf/udf.ko*"))


def make_key() -> tuple[str, str]:
    """A private SSH key and its public half."""
    with tempfile.TemporaryDirectory(prefix="waagent-guest-") as folder:
        path = Path(folder) / "key"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(path)]
        subprocess.run(argv, check=True)
        public = path.with_suffix(".pub").read_text(encoding="utf-8").strip()
        return path.read_text(encoding="utf-8"), public


def make_media(public_key: str) -> OvfMedia:
    """What Azure would put on the disc for a new machine."""
    home = f"/home/{USER}"
    return OvfMedia(
        hostname="fabric-vm",
        user=USER,
        password=f"Only-for-{os.getpid()}-here!",
        disable_password_authentication=False,
        keys=(MediaKey(f"{home}/.ssh/authorized_keys", value=public_key),),
        custom_data=b"#!/bin/sh\necho custom data of the demonstration\n",
    )


def introduce(guest: Guest, discs: bool) -> None:
    """Say what is about to be shown."""
    media = "an ISO 9660 and UDF disc in /dev/sr0"
    if not discs:
        media = (
            "this kernel reads neither ISO 9660 nor UDF, so the files of the disc are handed\n"
            "           over on the same device as squashfs, through mount(8)'s helper of that name"
        )
    lease = "by udhcpc" if guest.uses_dhcp_client else "by hand: this machine has no udhcpc"
    system = f"{read_system()}, Linux {platform.release()}, Python {platform.python_version()}"
    print(
        f"A first boot on a view of this machine\n"
        f"  machine  {system}\n"
        f"  guest    its own mount, network, pid, ipc and uts namespaces; what it writes stays in\n"
        f"           memory and goes with it\n"
        f"  fabric   168.63.129.16, 169.254.169.254, storage and DHCP, behind a cable that leads\n"
        f"           nowhere else\n"
        f"  address  {guest.vm.identity.private_ip}, set {lease}\n"
        f"  media    {media}\n",
        flush=True,
    )


def boot(guest: Guest, narrator: Narrator) -> int:
    """Start the agent, and wait until its extension has reported success."""
    narrator.begin()
    narrator.say("demo", "starts /usr/sbin/waagent -daemon")
    daemon = guest.start_daemon()
    try:
        guest.fabric.await_ready(PATIENCE_S)
        narrator.say("demo", "the machine is Ready")
        guest.fabric.await_extension(ECHO, seq_no=0, within_s=PATIENCE_S)
    except AssertionError as e:
        raise Failed(f"{e}\n{guest.read(DAEMON_OUTPUT)[-4000:]}") from e
    narrator.say("demo", f"the extension {ECHO} is Ready")
    return daemon


def restart(guest: Guest, narrator: Narrator, daemon: int) -> None:
    """Stop the agent as its service would, start it again, and see that it does not provision."""
    asked = time.monotonic()
    guest.kill(daemon, signal.SIGTERM)
    code = guest.await_exit(daemon, STOP_WITHIN_S)
    left = [line for _, line in guest.processes.values() if "/waagent -" in line]
    took = time.monotonic() - asked
    narrator.say("demo", f"stopped the service: exit {code} after {took:.2f} s")
    if code != 0 or left:
        raise Failed(f"the service ended with {code}, and these are left: {left}")
    reports = len(guest.fabric.world.received.health)
    statuses = len(guest.fabric.world.received.statuses)
    second = guest.start_daemon()
    try:
        guest.fabric.await_status(since=statuses, within_s=PATIENCE_S)
    except AssertionError as e:
        raise Failed(f"{e}\n{guest.read(DAEMON_OUTPUT)[-4000:]}") from e
    if len(guest.fabric.world.received.health) != reports:
        raise Failed("the second start reported its health again: it provisioned twice")
    narrator.say("demo", "started again: status is reported, nothing is provisioned twice")
    guest.kill(second, signal.SIGTERM)
    guest.await_exit(second, STOP_WITHIN_S)


def show_timeline(narrator: Narrator) -> None:
    """The picture of the first boot."""
    moment = narrator.seconds_of
    wire = moment("fabric", "The guest asks which protocol")
    provisioning, ready = moment("fabric", "The guest reports NotReady"), None
    ready = moment("fabric", "The guest reports Ready")
    handler = moment("fabric", "The guest downloads /packages")
    done = moment("fabric", f"{ECHO} ")
    print("\nTimeline")
    phases = (
        Phase("start, media, find the fabric", 0.0, wire),
        Phase("key, goal state, certificates", wire, provisioning),
        Phase("provisioning", provisioning, ready),
        Phase("child starts, its goal state", ready, handler),
        Phase("extension: fetch, install, enable", handler, done),
    )
    for line in render_timeline(phases):
        print(f"  {line}")


def show_places(guest: Guest) -> None:
    """Where a person would look, and a chance to do so."""
    print(
        f"\nWhere to look on a machine\n"
        f"  /var/log/waagent.log              what the agent did, this very story\n"
        f"  {LIB}/                 its state: ovf-env.xml, provisioned, certificates\n"
        f"  {LIB}/{ECHO}-1.0.0   an extension: package, settings, status\n"
        f"  /var/log/azure/{ECHO}    what the extension's commands said"
    )
    if os.environ.get("HOLD"):
        print(f"\nThe guest is yours: nsenter --target {guest.pid} --all; Ctrl-C here ends it")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    else:
        print("  (make demo HOLD=1 keeps the guest, to look around in it)")


def tell(guest: Guest, private_key: str, narrator: Narrator) -> int:
    """The story; how many things were not as they should be."""
    misses = 0
    with narrator, LogReader(guest.path("/var/log/waagent.log"), narrator):
        daemon = boot(guest, narrator)
        prepare(guest)
        findings = list(find_out(guest, private_key))
        narrator.flush()
        print("\nWhat it did, by disk, processes and journal", flush=True)
        for finding in findings:
            misses += not finding.good
            print(finding.render())
        print(flush=True)
        restart(guest, narrator, daemon)
    if guest.fabric.violations:
        raise Failed("the protocol was broken: " + "; ".join(guest.fabric.violations))
    narrator.flush()
    show_timeline(narrator)
    show_places(guest)
    return misses


def main() -> int:
    """Tell the story, then see that this machine is as it was."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    before = outside.observe()
    discs = can_read_discs()
    private_key, public_key = make_key()
    narrator = Narrator()
    listener = Story(narrator.tell_event)
    guest = Guest(first_boot(), make_media(public_key), listener=listener, discs=discs)
    try:
        with guest:
            introduce(guest, discs)
            misses = tell(guest, private_key, narrator)
    except (Failed, GuestFailed, OSError) as e:
        print(f"\nFAILED: {e}", file=sys.stderr)
        misses = 1
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        misses = 1
    left = [*outside.differences(before, outside.observe()), *guest.leftovers()]
    if left:
        print(f"\nThis machine is not as it was: {', '.join(left)}", file=sys.stderr)
    verdict = "The demonstration failed" if misses or left else "All well"
    behind = "" if left else "; nothing is left behind"
    print(f"\n{verdict}{behind}; {time.monotonic() - began:.1f} s")
    return 1 if misses or left else 0


if __name__ == "__main__":
    sys.exit(main())
