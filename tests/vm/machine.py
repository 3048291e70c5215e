"""A machine on Azure as a library: a disk, a disc in its drive, and the fabric at its cable.

What is started in a ``with Machine(...) as machine`` ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional

from tests.demo.azure import CABLE, Azure, colons, render_hosts
from tests.demo.guest import swap_bytes
from tests.demo.namespaces import NetworkNamespace
from tests.fabric import Fabric, Vm, first_boot
from tests.fabric.journal import Entry
from tests.fabric.media import OvfMedia, write_iso
from tests.vm.image import Image
from tests.vm.inside import Finished, Inside
from tests.vm.qemu import Hardware, MachineFailed, Qemu
from tests.vm.roots import BareSystem

UP_WITHIN_S = 180.0
OFF_WITHIN_S = 120.0
DRIVE_OPENED = "DEVICE_TRAY_MOVED"
ONLY_PASSWORD = ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password")


def lay_tap(network: NetworkNamespace) -> None:
    """A cable whose other end QEMU holds."""
    network.run("ip", "tuntap", "add", "dev", CABLE, "mode", "tap")


class Machine:
    """One virtual machine and its fabric. The disk is its own, a copy of the image's."""

    def __init__(
        self,
        base: BareSystem,
        image: Image,
        media: Optional[OvfMedia],
        *,
        vm: Optional[Vm] = None,
        listener: Optional[Callable[[Entry], None]] = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.vm = vm or first_boot()
        self.media = media
        self._base, self._image, self._extra = base, image, extra
        self._listener = listener
        self._folder = Path(tempfile.mkdtemp(prefix="waagent-vm-"))
        self._qemu: Optional[Qemu] = None
        self._inside: Optional[Inside] = None
        self._azure: Optional[Azure] = None

    def __enter__(self) -> Machine:
        try:
            self.disk = self._image.copy(self._folder / "disk")
            # There is no DNS: storage has its name from the file.
            hosts = render_hosts("unprovisioned")
            self.disk.change(f"printf '%s' '{hosts}' >/etc/hosts")
            self._azure = Azure(self.vm, lay_tap, listener=self._listener)
            self.switch_on()
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
    def hardware(self) -> Qemu:
        """The process that the machine is."""
        assert self._qemu is not None, "the machine is off"
        return self._qemu

    @property
    def address(self) -> str:
        """Where the machine is reached from Azure's network."""
        return self.vm.identity.private_ip

    def switch_on(self) -> None:
        """Boot; `await_up` waits until the system in it stands."""
        assert self._azure is not None
        disc = None
        if self.media is not None:
            disc = self._folder / "media.iso"
            write_iso(self.media, disc)
        hardware = Hardware(
            disk=self.disk.path,
            kernel=self._base.kernel,
            initrd=self._base.initrd,
            disc=disc,
            tap=CABLE,
            mac=colons(self.vm.identity.mac_address),
            product_uuid=swap_bytes(self.vm.identity.vm_id),
            extra=self._extra,
        )
        network = f"--net=/proc/self/fd/{self._azure.network.descriptor}"
        self._qemu = Qemu(hardware, self._folder, ("nsenter", network))

    def await_up(self, within_s: float = UP_WITHIN_S) -> None:
        """Wait until commands can be run in the machine."""
        if self._inside is None:
            self._inside = Inside(self.hardware.open_guest_agent)
        self._inside.await_up(within_s)

    def run(self, *argv: str, given: bytes = b"", within_s: float = 60.0) -> Finished:
        """Run a program in the machine as root."""
        if self._inside is None:
            self.await_up()
        assert self._inside is not None
        return self._inside.run(*argv, given=given, within_s=within_s)

    def must(self, *argv: str, within_s: float = 60.0) -> str:
        """Run a program that has to succeed, and return what it printed."""
        done = self.run(*argv, within_s=within_s)
        if done.code:
            raise MachineFailed(f"{' '.join(argv)} ended with {done.code}: {done.said}")
        return done.output

    def read(self, name: str) -> str:
        """A file of the machine as text."""
        return self.must("cat", name)

    def ssh(self, user: str, command: str, *options: str, within_s: float = 60.0) -> Finished:
        """Log in over the network as somebody on Azure's side would, and run a command."""
        assert self._azure is not None
        argv = self._ssh(user, command, "-o", "BatchMode=yes", *options, within_s=within_s)
        return self._azure.network.call(lambda: _finish(argv))

    def ssh_with_password(self, user: str, password: str, command: str) -> Finished:
        """Log in with a password and nothing else."""
        assert self._azure is not None
        teller = self._folder / "askpass"
        with private(teller, f"#!/bin/sh\necho '{password}'\n"):
            argv = self._ssh(user, command, "-o", "NumberOfPasswordPrompts=1", *ONLY_PASSWORD)
            told = {**os.environ, "SSH_ASKPASS": str(teller), "SSH_ASKPASS_REQUIRE": "force"}
            return self._azure.network.call(lambda: _finish(argv, told))

    def begin_ssh(
        self, user: str, command: str, *options: str, within_s: float
    ) -> subprocess.Popen[str]:
        """Log in with a key and stay; what the command prints can be read as it comes."""
        assert self._azure is not None
        argv = self._ssh(user, command, "-o", "BatchMode=yes", *options, within_s=within_s)
        return self._azure.network.call(
            lambda: subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def _ssh(self, user: str, command: str, *options: str, within_s: float = 60.0) -> list[str]:
        words = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words += ["-o", "LogLevel=ERROR", *options]
        return ["timeout", f"{within_s:g}", "ssh", *words, f"{user}@{self.address}", command]

    def send(self, path: Path, name: str) -> None:
        """Put a file of this machine into the virtual one."""
        self.must("mkdir", "-p", str(Path(name).parent))
        done = self.run("sh", "-c", f"cat >'{name}'", given=path.read_bytes())
        if done.code:
            raise MachineFailed(f"cannot write {name}: {done.said}")

    def reboot(self, within_s: float = UP_WITHIN_S) -> None:
        """Restart the system, as its administrator does, and wait until it stands again."""
        mark = self.hardware.count_events()
        with contextlib.suppress(MachineFailed, TimeoutError):
            self.run("systemctl", "--no-block", "reboot")
        self.hardware.await_event("RESET", mark, OFF_WITHIN_S)
        if self._inside is not None:  # what it did not read before belongs to the past
            self._inside.close()
            self._inside = None
        self.await_up(within_s)

    def switch_off(self) -> None:
        """Shut the system down; its disk can be read then."""
        with contextlib.suppress(MachineFailed, TimeoutError):  # it may be off before it answers
            self.run("systemctl", "--no-block", "poweroff")
        self.hardware.await_end(OFF_WITHIN_S)
        self._let_go()

    def close(self) -> None:
        """End everything and remove what it stood on."""
        self._let_go()
        if self._azure is not None:
            self._azure.close()
            self._azure = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def console(self) -> str:
        """All that the system wrote to the serial console, in the present or the last run."""
        path = self._folder / "console"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _let_go(self) -> None:
        if self._inside is not None:
            self._inside.close()
        if self._qemu is not None:
            self._qemu.close()
        self._inside, self._qemu = None, None


@contextlib.contextmanager
def private(path: Path, text: str) -> Iterator[None]:
    """A program of root's alone, for as long as it is needed."""
    path.touch(mode=0o700)
    path.write_text(text, encoding="utf-8")
    yield
    path.unlink()


def _finish(argv: list[str], environment: Optional[Mapping[str, str]] = None) -> Finished:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
