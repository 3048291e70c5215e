"""The udev rules, carried out by the machine's own udev on a made-up Hyper-V machine.

``udevadm test`` says what would be done and does nothing; it runs where /sys is a folder of ours
and /run and /dev are empty.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.init.tools import INIT, require, run
from tests.integration.init.vmbus import DMI, IDE, SCSI, Disk, SysTree

RULES = ("66-azure-storage.rules", "99-azure-product-uuid.rules")
NOT_AZURE = "f8b37810-1e82-4818-a1c3-63d806ec15bb"
DISKS = (
    Disk("sda", SCSI.format("a"), "0:0:0:0", (1, 15)),
    Disk("sdb", SCSI.format("a"), "0:0:0:1", (1,)),
    Disk("sdc", SCSI.format("a"), "0:0:0:2"),
    Disk("sdd", SCSI.format("a"), "0:0:0:3"),
    Disk("sde", SCSI.format("b"), "1:0:0:0"),
    Disk("sdf", SCSI.format("b"), "1:0:0:9", (2,)),
    Disk("sdg", SCSI.format("b"), "1:0:0:10"),
    Disk("sdh", SCSI.format("b"), "1:0:0:63"),
    Disk("sdi", SCSI.format("c"), "2:0:1:100", (1,)),
    Disk("sdj", SCSI.format("d"), "13:0:0:205"),
    Disk("sdk", IDE.format(0, 0), "4:0:0:0", (1,)),
    Disk("sdl", IDE.format(0, 1), "5:0:1:0", (1,)),
    Disk("sdm", NOT_AZURE, "6:0:0:0"),
    Disk("sdn", SCSI.format("b"), "1:0:0:4", (1,), vendor="QEMU    ", model="QEMU HARDDISK"),
    Disk("sdo", SCSI.format("b"), "1:0:0:5", model="Virtual DVD-ROM "),
)
LINKS = {
    "sda": "root",
    "sda1": "root-part1",
    "sda15": "root-part15",
    "sdb": "resource",
    "sdb1": "resource-part1",
    "sdc": None,  # where the provisioning media is
    "sdd": "scsi0/lun3",
    "sde": "scsi1/lun0",
    "sdf": "scsi1/lun9",
    "sdf2": "scsi1/lun9-part2",
    "sdg": "scsi1/lun10",
    "sdh": "scsi1/lun63",
    "sdi": "scsi2/lun100",
    "sdi1": "scsi2/lun100-part1",
    "sdj": "scsi3/lun205",
    "sdk": "root",  # generation 1
    "sdk1": "root-part1",
    "sdl": "resource",
    "sdl1": "resource-part1",
    "sdm": None,
    "sdn": None,
    "sdn1": None,
    "sdo": None,
}
# Mounts hide what the machine has; nothing that is made there outlives the shell.
ASK = """\
set -eu
mount --make-rprivate /
mount --bind "$1" /sys
mkdir -p /run/udev
for folder in /run/udev /dev /etc/udev /usr/lib/udev/rules.d; do mount -t tmpfs none $folder; done
[ -d /lib/udev/rules.d ] && mount -t tmpfs none /lib/udev/rules.d
mknod -m 666 /dev/null c 1 3
mkdir /run/udev/rules.d
cp "$2"/*.rules /run/udev/rules.d
shift 2
for device; do
    echo "@ $device"
    SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --action="$ACTION" "$device" 2>&1
done
"""


def ask_udev(
    tree: Path, devices: list[str], *, action: str = "add", rules: Path = INIT / "udev"
) -> dict[str, str]:
    """What udev says that it would do with each device."""
    require("udevadm", package="udev")
    argv = ("unshare", "--mount", "sh", "-c", ASK, "ask", str(tree), str(rules), *devices)
    outcome = run(*argv, environment={"ACTION": action, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert outcome.code == 0, outcome.said
    parts = re.split(r"^@ (.*)\n", outcome.said, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def links_in(said: str) -> set[str]:
    """The links below /dev/disk/azure that udev would make."""
    found = re.search(r"^\s*DEVLINKS=(.*)$", said, re.MULTILINE)
    return {name for name in (found[1].split() if found else ()) if "/azure/" in name}


@pytest.mark.root
@pytest.mark.parametrize("action", ["add", "change", "bind"])
def test_each_disk_gets_the_link_for_its_place_and_no_other(tmp_path: Path, action: str) -> None:
    tree = SysTree(tmp_path)
    for disk in DISKS:
        tree.add_disk(disk)
    said = ask_udev(tmp_path, [f"/sys/class/block/{name}" for name in LINKS], action=action)
    made = {path.rpartition("/")[2]: links_in(text) for path, text in said.items()}
    wanted = {name: {f"/dev/disk/azure/{link}"} if link else set() for name, link in LINKS.items()}
    assert made == wanted


@pytest.mark.root
@pytest.mark.parametrize(
    ("vendor", "product", "is_opened"),
    [
        ("Microsoft Corporation", "Virtual Machine", True),
        ("Microsoft Corporation", "Surface", False),
        ("QEMU", "Virtual Machine", False),
    ],
)
def test_machine_s_id_may_be_read_by_all_on_hyper_v_only(
    tmp_path: Path, vendor: str, product: str, is_opened: bool
) -> None:
    SysTree(tmp_path).add_firmware(vendor, product)
    said = ask_udev(tmp_path, [f"/sys/{DMI}"])[f"/sys/{DMI}"]
    assert ("/bin/chmod 0444 /sys/devices/virtual/dmi/id/product_uuid" in said) is is_opened


@pytest.mark.root
@pytest.mark.parametrize(
    ("added", "complaints"),
    [("", 0), ('KERNEL="sda", SYMLINK+="x"\n', 1), ('GOTO="nowhere"\n', 1)],
    ids=["as shipped", "bad operator", "bad jump"],
)
def test_udev_complains_of_bad_rules_and_not_of_ours(
    tmp_path: Path, added: str, complaints: int
) -> None:
    tree, rules = tmp_path / "sys", tmp_path / "rules"
    SysTree(tree).add_disk(DISKS[0])
    rules.mkdir()
    for name in RULES:
        text = (INIT / "udev" / name).read_text("utf-8")
        (rules / name).write_text(text + added, encoding="utf-8")
    said = ask_udev(tree, ["/sys/class/block/sda"], rules=rules)["/sys/class/block/sda"]
    found = {name for name in RULES if re.search(rf"(?m)^\S*/{re.escape(name)}:\d+:? ", said)}
    assert len(found) == complaints * len(RULES), said


@pytest.mark.parametrize("name", RULES)
def test_rules_start_no_shell_and_end_where_they_jump(name: str) -> None:
    text = (INIT / "udev" / name).read_text("utf-8")
    assert not re.search(r"PROGRAM|IMPORT\{program\}|/sh\b", text)
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))
