"""A VM with a temporary disk, in a folder: its sysfs, its bytes, and what its programs do to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

import pytest

from tests.integration.init.vmbus import IDE, SCSI, VMBUS, Disk, SysTree
from tests.support.machine import Machine
from tests.support.runner import Answers, Argv, ScriptedRunner, ok
from tests.unit.resourcedisk.images import BASIC_DATA, LINUX, MIB, RESERVED, Part, gpt, mbr, ntfs
from waagent.core.clock import Stop
from waagent.core.commands import Result
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System
from waagent.resourcedisk.flow import prepare

GEN1 = Disk("sdb", IDE.format(0, 1), "3:0:1:0", partitions=(1,))
GEN2 = Disk("sdb", SCSI.format("a"), "0:0:0:1", partitions=(1,))
SIZE = 16 * MIB
WHOLE = Part(1, MIB, 14 * MIB)
POINT = "/mnt/resource"
OS_DISK = "20 1 8:99 / / rw - ext4 /dev/sda1 rw\n"
SWAPS = "Filename\tType\tSize\tUsed\tPriority\n"
PLATFORMS_GPT = gpt(Part(1, 34 * 512, 8192, RESERVED), Part(2, MIB, WHOLE.size, BASIC_DATA))
MOUNTED = "Resource disk /dev/sdb is mounted at /mnt/resource with ext4"
EXT4 = "TYPE=ext4\nUUID=of-somebody\n"
FORMAT = "ResourceDisk.Format=y\nResourceDisk.Filesystem=ext4\n"
SWAP = FORMAT + "ResourceDisk.EnableSwap=y\nResourceDisk.SwapSizeMB=1\n"
SIGNED = bytes(4086) + b"SWAPSPACE2"


class Programs(ScriptedRunner):
    """Answers as declared; blkid says what is known of each place on the disk."""

    def __init__(self, answers: Mapping[Argv, Answers], kinds: dict[str, str]) -> None:
        super().__init__(answers)
        self.kinds = kinds

    def run(self, argv: Argv, *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``ScriptedRunner``."""
        if argv[0] != "blkid" or ("blkid",) in self.answers:
            return super().run(argv, stdin=stdin, timeout_s=timeout_s)
        place = argv[argv.index("-O") + 1] if "-O" in argv else ""
        kind = self.kinds.get(place)
        return Result(argv, 0, f"DEVNAME={argv[-1]}\n{kind}") if kind else Result(argv, 2)


@dataclass
class World:
    """What is there before the act; ``prepare`` is the act."""

    folder: Path
    head: bytes = mbr(WHOLE)
    content: bytes = ntfs()
    kind: str = "TYPE=ntfs\nLABEL=Temporary Storage\n"
    conf: str = FORMAT
    disk: Optional[Disk] = GEN1
    mounts: str = OS_DISK
    swaps: str = SWAPS
    commands: Mapping[Argv, Answers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        files = {"/proc/self/mountinfo": self.mounts, "/proc/swaps": self.swaps,
                 "/proc/filesystems": "nodev\tproc\n\text4\n\txfs\n\tbtrfs\n"}  # fmt: skip
        self.kinds = {str(WHOLE.start): self.kind}
        answers = {**self._programs(), **self.commands}
        guest = Machine(files=files, commands=answers, folders=("/mnt", "/var/lib/waagent")).boot(
            self.folder
        )
        self.guest = guest
        self.runner = Programs(answers, self.kinds)
        self.system: System = replace(guest.system, runner=self.runner)
        if self.disk is not None:
            SysTree(guest.path("/sys")).add_disk(self.disk)
            bus = guest.path("/sys/bus/vmbus") / "devices"
            bus.mkdir()
            controller = self.disk.controller
            (bus / controller).symlink_to(f"/sys/{VMBUS}/{controller}")
            self._attributes()
            image = bytearray(self.head.ljust(WHOLE.start, b"\0") + self.content)
            guest.write("/dev/sdb", bytes(image))
            guest.write("/dev/sdb1", "")
            with guest.path("/dev/sdb").open("r+b") as stream:
                stream.truncate(SIZE)

    def prepare(self, conf: str = "") -> None:
        """One start of the daemon."""
        prepare(self.context(conf or self.conf))

    def context(self, text: str) -> Context:
        """What the room is given."""
        conf = load(text.encode(), "waagent.conf").conf
        paths = make_paths(self.system, conf)
        return Context(self.system, conf, paths, Events(paths.events, self.system.clock), Stop())

    @property
    def changed(self) -> list[str]:
        """The programs that ran and change a disk, in order."""
        return [argv[0] for argv in self.runner.ran if re.match("sfdisk|mkfs|mkswap", argv[0])]

    def add_mount(self, argv: Argv) -> None:
        """What mount does."""
        line = f"30 20 8:2 / {argv[-1]} rw - {argv[2]} {argv[-2]} rw\n"
        self.guest.write("/proc/self/mountinfo", self.guest.file("/proc/self/mountinfo") + line)

    def _programs(self) -> dict[Argv, Answers]:
        return {
            ("sfdisk", "--part-type"): ok(do=lambda *_: self._put(450, b"\x83")),
            ("sfdisk", "--quiet"): ok(do=lambda _, text: self._partition(text)),
            ("blockdev", "--rereadpt"): ok(),
            ("mkfs.ext4",): ok(do=lambda *_: self._format("ext4")),
            ("mkfs.xfs",): ok(do=lambda *_: self._format("xfs")),
            ("mkfs.btrfs",): ok(do=lambda *_: self._format("btrfs")),
            ("mount",): ok(do=lambda argv, _: self.add_mount(argv)),
            ("mkswap",): ok(do=lambda argv, _: self._sign(argv[-1])),
            ("swapon",): ok(do=lambda argv, _: self._swap_on(argv[-1])),
            ("swapoff",): ok(do=lambda *_: self.guest.write("/proc/swaps", SWAPS)),
            ("chattr", "+C"): ok(),
        }

    def _format(self, kind: str) -> None:
        self._put(WHOLE.start, bytes(MIB))
        self.kinds[str(WHOLE.start)] = f"TYPE={kind}\nUUID=made-by-us\n"

    def _partition(self, script: bytes) -> None:
        found = re.search(rb"label-id: (\S+)", script)
        assert found is not None
        self._put(0, gpt(replace(WHOLE, type=LINUX), identity=found[1].decode()))
        self._put(WHOLE.start, bytes(MIB))
        self.kinds.pop(str(WHOLE.start), None)
        self._attributes()

    def _put(self, at: int, raw: bytes) -> None:
        with self.guest.path("/dev/sdb").open("r+b") as stream:
            stream.seek(at)
            stream.write(raw)

    def _sign(self, name: str) -> None:
        with self.guest.path(name).open("r+b") as stream:
            stream.write(SIGNED)

    def _swap_on(self, name: str) -> None:
        self.guest.write("/proc/swaps", f"{SWAPS}{name} file 1020 0 -2\n")

    def _attributes(self) -> None:
        for name, size, start in (("sdb", SIZE, 0), ("sdb1", WHOLE.size, WHOLE.start)):
            place = self.guest.path(f"/sys/class/block/{name}")
            if place.is_dir():
                (place / "size").write_text(f"{size // 512}\n")
                (place / "start").write_text(f"{start // 512}\n")
                (place / "ro").write_text("0\n")
                (place / "holders").mkdir(exist_ok=True)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as an error."""
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
