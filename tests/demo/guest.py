"""A guest as a library: this very machine, copied on write, with Azure at the other end of a cable.

What is started in a ``with Guest() as guest`` ends with it, whatever ends this process.
"""

from __future__ import annotations

import shutil
import signal
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional

from tests.demo.azure import NIC, ROUTER, Azure, cable_to_process, render_hosts
from tests.demo.blocks import held_images
from tests.demo.namespaces import await_link
from tests.demo.plan import CHECKOUT, DRIVE, GuestPlan
from tests.demo.process import FirstProcess
from tests.fabric import Fabric, Vm, first_boot
from tests.fabric.journal import Entry
from tests.fabric.media import OvfMedia, write_iso, write_squashfs

AGENT = "/usr/sbin/waagent"
DAEMON_OUTPUT = "/run/waagent.output"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/root"}
MASKED = {
    # A machine that has cloud-init would wait for it; here the agent itself provisions.
    "/etc/systemd/system/cloud-init-local.service": "[Unit]\nDescription=Not in this guest\n",
    "/etc/resolv.conf": "# No name server: names are in /etc/hosts.\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "/etc/hostname": "unprovisioned\n",
}
# Where the kernel reads no disc format, mount(8) finds this helper for the type that the agent asks
# for: the same files lie on the same device as squashfs.
MOUNT_HELPER = """#!/bin/sh
exec mount -i -t squashfs -o ro "$1" "$2"
"""
# The drive is a loop device, which knows no eject: what is ejected is gone, as from a real one.
EJECT = f"""#!/bin/sh
[ "$1" = {DRIVE} ] && exec rm {DRIVE}
echo "eject: $1 is no drive" >&2
exit 1
"""
LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface" && ip route add default via "$router"
"""


@dataclass(frozen=True)
class Finished:
    """How a command in the guest ended, and what it printed on both streams."""

    code: int
    output: str


def swap_bytes(vm_id: str) -> str:
    """A VM id as the firmware has it: the first three groups the other way round."""
    *little, fourth, fifth = vm_id.split("-")
    return "-".join([*(bytes.fromhex(g)[::-1].hex() for g in little), fourth, fifth]).upper()


class Guest:
    """One machine and its fabric. `conf` overrides lines of the shipped waagent.conf.

    `dhcp_client` False gives the interface a fixed address; `option_245` False is a fabric that
    names no wire server.
    """

    def __init__(
        self,
        vm: Optional[Vm] = None,
        media: Optional[OvfMedia] = None,
        *,
        conf: Optional[Mapping[str, str]] = None,
        files: Optional[Mapping[str, str]] = None,
        listener: Optional[Callable[[Entry], None]] = None,
        dhcp_client: bool = True,
        option_245: bool = True,
        discs: bool = False,
    ) -> None:
        self.vm = vm or first_boot()
        self.media = media or OvfMedia()
        self._conf = dict(conf or {})
        self._files = dict(files or {})
        self._listener = listener
        self._dhcp_client = dhcp_client and shutil.which("udhcpc") is not None
        self._option_245 = option_245
        self._discs = discs
        self._folder: Optional[Path] = None
        self._first: Optional[FirstProcess] = None
        self._azure: Optional[Azure] = None
        self._outputs = 0

    def __enter__(self) -> Guest:
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def fabric(self) -> Fabric:
        """The fabric, to script and to wait on."""
        assert self._azure is not None
        return self._azure.fabric

    @property
    def pid(self) -> int:
        """The first process, as this machine numbers it: for nsenter(1)."""
        return self._process.pid

    @property
    def uses_dhcp_client(self) -> bool:
        """Whether the interface was configured by a real client."""
        return self._dhcp_client

    def start(self, *argv: str, output: str = "/run/output") -> int:
        """Start a program, a child of the first process; returns its process id in the guest."""
        answer = self._process.ask(start=list(argv), environment=ENVIRONMENT, output=output)
        return int(answer["pid"])

    def start_daemon(self) -> int:
        """Start the agent as its unit does."""
        return self.start(AGENT, "-daemon", output=DAEMON_OUTPUT)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process of the guest."""
        self._process.ask(pid=pid, signal=int(number))

    def await_exit(self, pid: int, within_s: float = 30.0) -> int:
        """Wait for the end of a program that was started; a negative code is the signal."""
        return self._process.await_exit(pid, within_s)

    def run(self, *argv: str, within_s: float = 30.0) -> Finished:
        """Run a program to its end."""
        self._outputs += 1
        output = f"/run/output.{self._outputs}"
        code = self.await_exit(self.start(*argv, output=output), within_s)
        return Finished(code, self.read(output))

    def read(self, name: str) -> str:
        """A file of the guest as text; `FileNotFoundError` if there is none."""
        return self.path(name).read_text(encoding="utf-8", errors="replace")

    def exists(self, name: str) -> bool:
        """Whether the guest has a file."""
        return self.path(name).exists()

    def mode(self, name: str) -> int:
        """A file's permission bits."""
        return stat.S_IMODE(self.path(name).stat().st_mode)

    def path(self, name: str) -> Path:
        """Where a file of the guest is for this process; links stay in the guest."""
        root = Path(f"/proc/{self.pid}/root")
        done: list[str] = []
        ahead = [part for part in reversed(name.split("/")) if part]
        for _ in range(200):
            if not ahead:
                break
            part = ahead.pop()
            here = root.joinpath(*done, part)
            if part == "..":
                done = done[:-1]
            elif here.is_symlink():
                target = str(here.readlink())
                done = [] if target.startswith("/") else done
                ahead += [p for p in reversed(target.split("/")) if p and p != "."]
            else:
                done.append(part)
        return root.joinpath(*done)

    @property
    def written(self) -> Path:
        """A folder that holds just what differs from this machine; /run and /dev are not in it."""
        return self._process.written

    @property
    def processes(self) -> dict[int, tuple[int, str]]:
        """Every process of the guest: its parent and its command line."""
        found = {}
        for folder in self.path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue  # it is gone meanwhile
            if fields[0] != "Z":
                found[int(folder.name)] = (int(fields[1]), words)
        return found

    def leftovers(self) -> list[str]:
        """What is left of it on this machine after it was closed: nothing, if all is well."""
        if self._folder is None:
            return []
        images = [image for image in held_images() if image.startswith(f"{self._folder}/")]
        return [*images, *([str(self._folder)] if self._folder.exists() else [])]

    def close(self) -> None:
        """End the guest and the fabric, and remove the folder on which they stood."""
        if self._azure is not None:
            self._azure.close()
        if self._first is not None:
            self._first.close()
        if self._folder is not None:  # who made the guest removes it, unless it had to be killed
            shutil.rmtree(self._folder, ignore_errors=True)
        self._first, self._azure = None, None

    @property
    def _process(self) -> FirstProcess:
        assert self._first is not None, "the guest is not running"
        return self._first

    def _make(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="waagent-guest-"))
        plan = self._plan(self._folder)
        self._first = FirstProcess(plan)
        self._first.await_up()
        self._azure = Azure(
            self.vm,
            cable_to_process(self.pid, self.vm.identity.mac_address),
            option_245=self._option_245,
            listener=self._listener,
        )
        self._configure_network()

    def _plan(self, folder: Path) -> GuestPlan:
        write = write_iso if self._discs else write_squashfs
        image = write(self.media, folder / "media")
        files = {**MASKED, "/etc/hosts": render_hosts("unprovisioned", str(self.media.hostname))}
        files["/etc/waagent.conf"] = self._render_conf()
        files["/usr/bin/eject"] = EJECT
        if not self._discs:
            files["/sbin/mount.iso9660"] = MOUNT_HELPER
        return GuestPlan(
            folder=str(folder),
            python=sys.executable,
            packages=sysconfig.get_path("purelib"),
            image=str(image),
            product_uuid=swap_bytes(self.vm.identity.vm_id),
            files={**files, **self._files},
        )

    def _render_conf(self) -> str:
        shipped = (CHECKOUT / "config/waagent.conf").read_text(encoding="utf-8")
        kept = [
            line
            for line in shipped.splitlines()
            if line.partition("=")[0].strip() not in self._conf
        ]
        own = [f"{key}={value}" for key, value in self._conf.items()]
        return "\n".join([*kept, *own, ""])

    def _configure_network(self) -> None:
        self._must("ip", "link", "set", "lo", "up")
        self._must("ip", "link", "set", NIC, "up")
        await_link(lambda: self.run("ip", "-brief", "link", "show", "dev", NIC).output)
        if not self._dhcp_client:
            self._must("ip", "address", "add", f"{self.vm.identity.private_ip}/24", "dev", NIC)
            self._must("ip", "route", "add", "default", "via", ROUTER)
            return
        script = self.path("/run/lease.script")
        script.write_text(LEASE_SCRIPT, encoding="utf-8")
        script.chmod(0o755)
        words: Sequence[str] = ("-f", "-q", "-n", "-t", "5", "-T", "1", "-s", "/run/lease.script")
        self._must("udhcpc", "-i", NIC, *words)

    def _must(self, *argv: str) -> None:
        done = self.run(*argv)
        if done.code:
            raise OSError(f"cannot run {' '.join(argv)} in the guest: {done.output.strip()}")


def media_for(vm: Vm, media: OvfMedia) -> OvfMedia:
    """The media of a machine: it is called there as Azure calls it."""
    return replace(media, hostname=vm.identity.name)
