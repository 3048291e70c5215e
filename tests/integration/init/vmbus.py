"""The part of /sys that a VM on Hyper-V has and no test machine: VMBus, its disks, its firmware."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SCSI = "f8b3781{}-1e82-4818-a1c3-63d806ec15bb"
IDE = "0000000{}-000{}-8899-0000-000000000000"
VMBUS = "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"
DMI = "devices/virtual/dmi/id"


@dataclass(frozen=True)
class Disk:
    """A disk: its kernel name, where it is attached, its partitions."""

    name: str
    controller: str
    address: str
    partitions: tuple[int, ...] = ()
    vendor: str = "Msft    "
    model: str = "Virtual Disk    "


@dataclass
class SysTree:
    """A folder that is filled like /sys."""

    root: Path
    _numbers: int = field(default=0, init=False)

    def add_disk(self, disk: Disk) -> None:
        """Add a disk, and what it hangs on."""
        bus = f"{VMBUS}/{disk.controller}"
        self._add(bus, "bus/vmbus", {"device_id": f"{{{disk.controller}}}"}, "MODALIAS=vmbus:0\n")
        host, _, rest = disk.address.partition(":")
        place = f"{bus}/host{host}/target{host}:{rest.rpartition(':')[0]}/{disk.address}"
        marks = {"vendor": disk.vendor, "model": disk.model, "type": "0"}
        self._add(place, "bus/scsi", marks, "DEVTYPE=scsi_device\n")
        block = f"{place}/block/{disk.name}"
        self._add_block(block, "disk", {})
        (self.root / block / "device").symlink_to("../..")
        for number in disk.partitions:
            path = f"{block}/{disk.name}{number}"
            self._add_block(path, "partition", {"partition": str(number)})

    def add_firmware(self, vendor: str, product: str) -> None:
        """Add what the firmware says of the machine."""
        marks = {"sys_vendor": vendor, "product_name": product, "product_uuid": "0-0-0"}
        self._add(DMI, "class/dmi", marks, "MODALIAS=dmi:x\n")

    def _add_block(self, path: str, kind: str, marks: dict[str, str]) -> None:
        self._numbers += 1
        name = path.rpartition("/")[2]
        event = f"MAJOR=8\nMINOR={self._numbers}\nDEVNAME={name}\nDEVTYPE={kind}\n"
        self._add(path, "class/block", {"dev": f"8:{self._numbers}", **marks}, event)
        self._link(f"class/block/{name}", path)
        self._link(f"dev/block/8:{self._numbers}", path)

    def _add(self, path: str, subsystem: str, marks: dict[str, str], event: str) -> None:
        folder = self.root / path
        if folder.is_dir():
            return
        folder.mkdir(parents=True)
        (self.root / subsystem).mkdir(parents=True, exist_ok=True)
        self._link(f"{path}/subsystem", subsystem)
        for name, text in {"uevent": event, **marks}.items():
            (folder / name).write_text(f"{text.rstrip(chr(10))}\n", encoding="ascii")

    def _link(self, path: str, target: str) -> None:
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(self.root / target, link.parent))
