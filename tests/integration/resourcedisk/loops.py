"""A real loop device as the resource disk: in memory, on a VMBus that is a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

README = "DATALOSS_WARNING_README.txt"
BUS = Path("/sys/bus/vmbus/devices")
GEN1 = "00000000-0001-8899-0000-000000000000"
GEN2 = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"
IMAGE = Path("/run/disk.img")
POINT = Path("/mnt/resource")
SWAPFILE = POINT / "swapfile"
RECORD = Path("/var/lib/waagent/resource_disk.json")
MIB = 1024 * 1024
RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
MBR = "label: dos\n,,7\n"
GPT = f"label: gpt\n,1M,{RESERVED}\n,,{BASIC}\n"


def run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass
class LoopDisk:
    """A disk of 340 MiB in memory, which the VMBus has as the resource disk."""

    node: str

    @property
    def name(self) -> str:
        return self.node.rpartition("/")[2]

    def part(self, number: int = 1) -> str:
        return f"{self.node}p{number}"

    def partition(self, script: str) -> None:
        run("sfdisk", "--quiet", "--no-reread", self.node, stdin=script)
        run("partx", "--add", self.node)

    def ntfs(self, number: int, *files: str, label: str = "Temporary Storage") -> None:
        run("mkfs.ntfs", "-q", "-Q", "-L", label, self.part(number))
        for name in files:
            Path("/run/note").write_text("hello")
            run("ntfscp", "-q", self.part(number), "/run/note", name)

    def attach(self, identity: str = GEN1, address: str = "0:0:1:0") -> None:
        place = BUS / identity
        (place / f"host0/target{address[:-2]}/{address}/block/{self.name}").mkdir(parents=True)
        (place / "device_id").write_text(f"{{{identity}}}\n")

    def content(self) -> str:
        """A digest of all that is not zeros, with its places."""
        run("blockdev", "--flushbufs", self.node)
        digest = hashlib.sha256()
        with IMAGE.open("rb") as stream, contextlib.suppress(OSError):  # ENXIO: no more data
            while True:
                at = os.lseek(stream.fileno(), stream.tell(), os.SEEK_DATA)
                stream.seek(at)
                piece = stream.read(4096)
                if piece != bytes(len(piece)):
                    digest.update(f"{at}".encode() + piece)
        return digest.hexdigest()

    def kind(self, number: int = 1) -> str:
        return run("blkid", "-p", "-s", "TYPE", "-o", "value", self.part(number))

    def detach(self) -> None:
        subprocess.run(["blockdev", "--setrw", self.node], capture_output=True, check=False)
        subprocess.run(["partx", "--delete", self.node], capture_output=True, check=False)
        subprocess.run(["losetup", "--detach", self.node], capture_output=True, check=False)


def put_data(disk: LoopDisk, kind: str) -> None:
    """Something that is not the platform's."""
    if kind == "ntfs":
        disk.ntfs(1, README, "thesis.doc")
    elif kind in ("xfs", "vfat"):
        run(f"mkfs.{kind}", disk.part())
    elif kind == "swap":
        run("mkswap", disk.part())
    else:
        at, raw = {
            "luks": (0, b"LUKS\xba\xbe\x00\x01aes\0".ljust(592, b"\0")),
            "lvm": (512, lvm_label()),
            "zeros-then-data": (300 * MIB, b"\1" * MIB),
        }[kind]
        with Path(disk.part()).open("r+b") as stream:
            stream.seek(at)
            stream.write(raw)


def lvm_label() -> bytes:
    """A label of LVM2 with its checksum, as blkid wants it."""
    body = (32).to_bytes(4, "little") + b"LVM2 001" + b"a" * 32
    body = body.ljust(492, b"\0")
    value = 0xF597A6CF
    table = [0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158,
             0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4,
             0xA00AE278, 0xBDBDF21C]  # fmt: skip
    for byte in body:
        value ^= byte
        value = (value >> 4) ^ table[value & 15]
        value = (value >> 4) ^ table[value & 15]
    return b"LABELONE" + (1).to_bytes(8, "little") + value.to_bytes(4, "little") + body
