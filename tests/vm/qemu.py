"""A virtual machine's process: QEMU without KVM, in Azure's network, ended with the test.

QMP, its control protocol, says what happened to the hardware: a reset, a tray that opened.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

PROGRAM = "qemu-system-x86_64"
GUEST_AGENT = "org.qemu.guest_agent.0"
ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"  # the chassis of every machine on Azure
SOCKET_WITHIN_S = 20.0
ANSWER_WITHIN_S = 20.0
END_WITHIN_S = 10.0


class MachineFailed(Exception):
    """The virtual machine is gone or does not answer; the message says what was waited for."""


@dataclass(frozen=True)
class Hardware:
    """What the machine is made of; `extra` are further arguments of QEMU."""

    disk: Path
    kernel: Path
    initrd: Path
    disc: Optional[Path]
    tap: str
    mac: str
    product_uuid: str
    memory_mib: int = 1024
    processors: int = 2
    extra: tuple[str, ...] = ()

    def arguments(self, folder: Path) -> list[str]:
        """QEMU's command line. The folder gets the sockets and the serial console's text."""
        append = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet"
        smbios = "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine"
        words = [
            *("-accel", "tcg,thread=multi", "-smp", str(self.processors)),
            *("-m", str(self.memory_mib), "-display", "none", "-nodefaults", "-no-user-config"),
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", append),
            *("-smbios", f"{smbios},uuid={self.product_uuid}"),
            *("-smbios", f"type=3,asset={ASSET_TAG}"),
            *("-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe"),
            *("-netdev", f"tap,id=net0,ifname={self.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net0,mac={self.mac}"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=inside,path={folder}/inside,server=on,wait=off"),
            *("-device", f"virtserialport,chardev=inside,name={GUEST_AGENT}"),
            *("-qmp", f"unix:{folder}/control,server=on,wait=off"),
            *("-serial", f"file:{folder}/console"),
            *self.extra,
        ]
        drive = "if=none,id=disc,media=cdrom,readonly=on"
        if self.disc is not None:
            drive += f",file={self.disc}"
        return [*words, "-drive", drive, "-device", "ide-cd,drive=disc,id=dvd"]


class Qemu:
    """The running process, and what it tells."""

    def __init__(self, hardware: Hardware, folder: Path, enter: Sequence[str]) -> None:
        """`enter` is put before the command line: it takes the process to its network."""
        self.folder = folder
        self.started = time.time()
        argv = [*enter, "setpriv", "--pdeathsig", "KILL", PROGRAM, *hardware.arguments(folder)]
        with (folder / "qemu.output").open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=_descriptors(enter),
                start_new_session=True,
            )
        self._changed = threading.Condition()
        self._seen: list[dict[str, Any]] = []
        self._control = self._connect("control")
        self._thread = threading.Thread(target=self._listen, name="qmp", daemon=True)
        self._thread.start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """Give QEMU a command and return its answer."""
        mark = len(self._seen)
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._control.sendall(json.dumps(message).encode() + b"\n")
        answer = self._await(lambda m: "return" in m or "error" in m, mark, ANSWER_WITHIN_S)
        if "error" in answer:
            raise MachineFailed(f"QEMU refuses {command}: {answer['error']}")
        return answer["return"]

    def count_events(self) -> int:
        """A mark for `await_event`: what has happened until now does not count."""
        return len(self._seen)

    def await_event(self, name: str, since: int, within_s: float) -> dict[str, Any]:
        """Wait for something to happen after a mark."""
        return self._await(lambda m: m.get("event") == name, since, within_s)

    def has_happened(self, name: str) -> bool:
        """Whether something happened at all."""
        with self._changed:
            return any(m.get("event") == name for m in self._seen)

    def open_guest_agent(self) -> socket.socket:
        """A connection to the program in the machine that runs commands for us."""
        return self._connect("inside")

    @property
    def console(self) -> str:
        """All that was written to the serial console."""
        return (self.folder / "console").read_text(encoding="utf-8", errors="replace")

    def await_end(self, within_s: float) -> None:
        """Wait until the machine has switched itself off."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired as e:
            raise MachineFailed(f"it is not off after {within_s:g} s") from e

    def close(self) -> None:
        """End it, as when the power is cut."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_WITHIN_S)
        self._control.close()
        self._thread.join(END_WITHIN_S)

    def _connect(self, name: str) -> socket.socket:
        limit = time.monotonic() + SOCKET_WITHIN_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.folder / name))
            except OSError as e:
                connection.close()
                if self._process.poll() is not None or time.monotonic() > limit:
                    said = (self.folder / "qemu.output").read_text(errors="replace")
                    raise MachineFailed(f"cannot start QEMU: {e}: {said.strip()}") from e
                threading.Event().wait(0.05)
            else:
                return connection

    def _listen(self) -> None:
        pending = b""
        while True:
            try:
                data = self._control.recv(65536)
            except OSError:
                data = b""
            *lines, pending = (pending + data).split(b"\n")
            with self._changed:
                self._seen += [json.loads(line) for line in lines if line.strip()]
                if not data:
                    self._seen.append({"event": "GONE"})
                self._changed.notify_all()
            if not data:
                return

    def _await(self, fits: Any, since: int, within_s: float) -> dict[str, Any]:
        limit = time.monotonic() + within_s
        with self._changed:
            while True:
                for message in self._seen[since:]:
                    if fits(message):
                        return message
                    if message.get("event") == "GONE":
                        raise MachineFailed("the machine is off")
                left = limit - time.monotonic()
                if left <= 0:
                    raise MachineFailed(f"nothing of that kind happened within {within_s:g} s")
                self._changed.wait(left)


def _descriptors(enter: Sequence[str]) -> tuple[int, ...]:
    """The open files that the words before the command name as /proc/self/fd/N."""
    names = [word.rpartition("/proc/self/fd/")[2] for word in enter if "/proc/self/fd/" in word]
    return tuple(int(name) for name in names if name.isdigit())
