"""The temporary disk, as the platform delivers it, becomes a mounted one with a swap file.

There is no VMBus in QEMU: its place in /sys is made by a unit that runs before the agent; the disk,
its NTFS, and everything that the agent does to it are real.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.findings import Finding, Look, look_at
from tests.vm.lab import Booted, Lab
from tests.vm.looks_machine import LOG, see_system
from tests.vm.machine import Machine
from tests.vm.qemu import MachineFailed

PATIENCE_S = 180.0
ODD = (MachineFailed, AssertionError)
SIZE_MIB = 512
SWAP_MIB = 100
MOUNT = "/mnt/resource"
CONF = (
    "sed -i -e 's/^ResourceDisk.Format=.*/ResourceDisk.Format=y/'"
    " -e 's/^ResourceDisk.Filesystem=.*/ResourceDisk.Filesystem=ext4/'"
    " -e 's/^ResourceDisk.EnableSwap=.*/ResourceDisk.EnableSwap=y/'"
    f" -e 's/^ResourceDisk.SwapSizeMB=.*/ResourceDisk.SwapSizeMB={SWAP_MIB}/' /etc/waagent.conf"
)
# Each bus of the kernel stays what it is; one more stands beside them, at one blow.
BUS = r"""
cat >/usr/local/sbin/add-vmbus <<'END'
#!/bin/sh
set -eu
mkdir -p /run/bus
mount -t tmpfs -o mode=0755 bus /run/bus
mount --make-private /run/bus
for bus in /sys/bus/*; do
  mkdir "/run/bus/${bus##*/}"
  mount --bind "$bus" "/run/bus/${bus##*/}"
done
device=/run/bus/vmbus/devices/00000000-0001-8899-0000-000000000000
mkdir -p "$device/host3/target3:0:1/3:0:1:0/block/sda"
echo '{00000000-0001-8899-0000-000000000000}' >"$device/device_id"
mount --rbind /run/bus /sys/bus
END
chmod 0755 /usr/local/sbin/add-vmbus
cat >/etc/systemd/system/add-vmbus.service <<'END'
[Unit]
Before=walinuxagent.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/add-vmbus
ExecStop=umount --recursive --lazy /sys/bus /run/bus
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet add-vmbus.service
"""


def play(lab: Lab) -> Iterator[Finding]:
    """Boot with such a disk, write to it, restart."""
    image = lab.image(lab.agent).copy(lab.folder / "resource-disk.disk")
    image.change(f"{CONF}\n{BUS}")
    disk = lab.folder / "temporary"
    make_platform_disk(disk)
    drive = f"if=none,id=temporary,format=raw,file={disk}"
    hangs_on = ("-device", "virtio-scsi-pci,id=scsi")
    extra = (*hangs_on, "-drive", drive, "-device", "scsi-hd,drive=temporary,vendor=Msft")
    media = lab.person.media(hostname=lab.media_hostname)
    with lab.machine(media, image=image, extra=extra) as machine:
        yield from look_at(Story(machine, lab).looks(), *ODD)
        machine.switch_off()


def make_platform_disk(path: Path) -> None:
    """One partition of type 7 on an MBR, with the NTFS that a new VM finds on it."""
    with path.open("wb") as stream:
        stream.truncate(SIZE_MIB << 20)
    table = "label: dos\nstart=2048, type=7\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True)
    volume = path.with_suffix(".ntfs")
    with volume.open("wb") as stream:
        stream.truncate((SIZE_MIB - 1) << 20)
    words = ["mkfs.ntfs", "--quiet", "--force", "--fast", "--label", "Temporary Storage"]
    subprocess.run([*words, str(volume)], check=True, capture_output=True)
    subprocess.run(
        ["dd", f"if={volume}", f"of={path}", "bs=1M", "seek=1", "conv=notrunc,sparse"],
        check=True,
        capture_output=True,
    )
    volume.unlink()


class Story:
    """One machine; each method is a look."""

    def __init__(self, machine: Machine, lab: Lab) -> None:
        self._machine, self._lab = machine, lab

    def looks(self) -> tuple[Look, ...]:
        """In order."""
        on = Booted(self._machine, self._lab)
        return (
            ("the machine boots and gets Ready", self.boots),
            ("the disk is mounted where it should be", self.is_mounted),
            ("people are warned", self.warns),
            ("the swap file is in use, and exact", self.swaps),
            ("the system is up, and no unit failed", lambda: see_system(on)),
            ("a restart leaves the data alone", self.keeps_data),
            ("restarted: the swap file is in use, and exact", self.swaps),
        )

    def boots(self) -> tuple[bool, str]:
        """Ready."""
        self._machine.fabric.await_ready(PATIENCE_S)
        self._machine.await_up()
        log = self._machine.read(LOG).splitlines()
        return True, next((line for line in log if "Resource disk" in line), "nothing in the log")

    def is_mounted(self) -> tuple[bool, str]:
        """As ext4, on the partition of the disk."""
        seen = self._machine.must("findmnt", "-n", "-o", "SOURCE,FSTYPE", MOUNT).split()
        table = self._machine.must("sfdisk", "-d", "/dev/sda")
        return seen == ["/dev/sda1", "ext4"] and "type=83" in table, " ".join(seen)

    def warns(self) -> tuple[bool, str]:
        """By the file that everybody looks for."""
        text = self._machine.read(f"{MOUNT}/DATALOSS_WARNING_README.txt")
        return "lost" in text.lower(), text.splitlines()[0]

    def swaps(self) -> tuple[bool, str]:
        """The kernel's word and the file's mode."""
        file = f"{MOUNT}/swapfile"
        used = self._machine.must("swapon", "--show=NAME", "--noheadings").split()
        facts = self._machine.must("stat", "-c", "%s %a %U", file).split()
        good = used == [file] and facts == [str(SWAP_MIB << 20), "600", "root"]
        return good, f"{' '.join(used)}: {' '.join(facts)}"

    def keeps_data(self) -> tuple[bool, str]:
        """What somebody wrote is there after a restart; nothing was formatted."""
        self._machine.must("sh", "-c", f"echo precious >{MOUNT}/data; sync")
        self._machine.reboot()
        statuses = len(self._machine.fabric.world.received.statuses)
        self._machine.fabric.await_status(since=statuses, within_s=PATIENCE_S)
        seen = self._machine.read(f"{MOUNT}/data").strip()
        return seen == "precious", seen
