"""A copy-on-write view of this very machine: what is written to it is gone with it.

Runs in the guest's own namespaces, as its first process, before anything else does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.demo.blocks import LoopDevice
from tests.demo.namespaces import mount, pivot_root, unmount_lazily
from tests.demo.plan import CHECKOUT, DRIVE, GuestPlan

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_DISKS = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "xfs", "zfs"}
_APART = ("/proc", "/sys", "/dev", "/run", "/mnt", "/media", "/boot")
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
_NODES["tty"] = (5, 0)
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_FROZEN = ("sys", "sysrq-trigger", "irq", "bus", "fs")
# Modules, raw input and output, boot, clock, device nodes: with these, root reaches outside.
_FORBIDDEN_CAPABILITIES = (16, 17, 22, 25, 27)
_PR_CAPBSET_DROP = 24
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"


@dataclass(frozen=True)
class View:
    """What has to stay open: the drive, and the layer that holds all that the guest wrote."""

    drive: LoopDevice
    written: int


def build_view(plan: GuestPlan) -> View:
    """Make the view the root of this process and of all that it starts."""
    drive = LoopDevice(Path(plan.image))
    mount("", "/", "", MS_REC | MS_PRIVATE)
    folder = Path(plan.folder)
    mount("tmpfs", plan.folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
    root = folder / "root"
    _overlay("/", folder / "system", root)
    for number, point in enumerate(_other_disks()):
        _overlay(point, folder / f"disk{number}", root / point.lstrip("/"))
    _make_folders(root)
    _make_devices(root / "dev", drive)
    _make_sys(root / "sys", folder / "sysfs", plan.product_uuid)
    pythons = (Path(plan.python), Path(plan.python).resolve())
    _bring_along(root, CHECKOUT, *(program.parent.parent for program in pythons))
    _make_fresh(root, plan)
    written = os.open(folder / "system/upper", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _enter(root)
    _make_proc()
    _freeze_sys()
    return View(drive, written)


def confine() -> None:
    """Take from all programs started later what would let root reach outside."""
    libc = ctypes.CDLL(None)
    for capability in _FORBIDDEN_CAPABILITIES:
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _other_disks() -> Iterator[str]:
    """Where other disks of this machine are mounted that belong to the system."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        words = line.split(" ")
        point, kind = words[4], words[words.index("-") + 1]
        apart = any(point == p or point.startswith(p + "/") for p in _APART)
        if kind in _DISKS and point != "/" and not apart and Path(point).is_dir():
            yield point


def _overlay(below: str, own: Path, target: Path) -> None:
    upper, work = own / "upper", own / "work"
    for made in (upper, work, target):
        made.mkdir(parents=True, exist_ok=True)
    shutil.copystat(below, upper)  # the view of a folder has the upper one's mode
    layers = f"lowerdir={below},upperdir={upper},workdir={work}"
    mount("overlay", str(target), "overlay", 0, layers)


def _make_folders(root: Path) -> None:
    for name, options in (("run", "mode=0755"), ("dev", "mode=0755"), ("sys", "mode=0755")):
        (root / name).mkdir(exist_ok=True)
        mount("tmpfs", str(root / name), "tmpfs", MS_NOSUID, options)
    (root / "proc").mkdir(exist_ok=True)
    (root / "run/lock").mkdir(mode=0o1777)


def _make_devices(dev: Path, drive: LoopDevice) -> None:
    for name, numbers in _NODES.items():
        os.mknod(dev / name, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
        (dev / name).chmod(0o666)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name in ("shm", "pts"):
        (dev / name).mkdir()
    mount("tmpfs", str(dev / "shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount("devpts", str(dev / "pts"), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "console").write_text("", encoding="utf-8")  # what is said to it is kept, and shown
    os.mknod(dev / Path(DRIVE).name, 0o660 | stat.S_IFBLK, drive.number)


def _make_sys(sys: Path, scratch: Path, product_uuid: str) -> None:
    """The kernel's own tree, with the firmware's tables of an Azure machine in it."""
    scratch.mkdir()
    mount("sysfs", str(scratch), "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    (sys / "class").mkdir()
    wanted = [p for p in scratch.iterdir() if p.name not in ("class", "fs")]
    wanted += [p for p in (scratch / "class").iterdir() if p.name != "dmi"]
    for source in wanted:
        target = sys / source.relative_to(scratch)
        target.mkdir()
        mount(str(source), str(target), "", MS_BIND)
    firmware = sys / "class/dmi/id"
    firmware.mkdir(parents=True)
    (firmware / "product_uuid").write_text(product_uuid + "\n", encoding="utf-8")
    (firmware / "product_uuid").chmod(0o400)
    (firmware / "sys_vendor").write_text("Microsoft Corporation\n", encoding="utf-8")
    (firmware / "product_name").write_text("Virtual Machine\n", encoding="utf-8")
    (firmware / "chassis_asset_tag").write_text(_AZURE_TAG + "\n", encoding="utf-8")


def _bring_along(root: Path, *needed: Path) -> None:
    """Folders without which nothing runs, wherever this machine has them."""
    for folder in needed:
        target = root / folder.relative_to("/")
        if not target.is_dir() or not any(target.iterdir()):
            target.mkdir(parents=True, exist_ok=True)
            mount(str(folder), str(target), "", MS_BIND | MS_REC)


def _make_fresh(root: Path, plan: GuestPlan) -> None:
    """A machine as an image builder leaves it: the agent installed, nothing provisioned."""
    shutil.rmtree(root / "var/lib/waagent", ignore_errors=True)
    for pattern in ("var/log/waagent.log*", "etc/ssh/ssh_host_*", "etc/sudoers.d/waagent"):
        for path in root.glob(pattern):
            path.unlink()
    packages = root / plan.packages.lstrip("/")
    shutil.copytree(
        CHECKOUT / "waagent", packages / "waagent", ignore=shutil.ignore_patterns("__pycache__")
    )
    program = (CHECKOUT / "bin/waagent").read_text(encoding="utf-8").splitlines(keepends=True)
    _write(root, "/usr/sbin/waagent", "".join([f"#!{plan.python}\n", *program[1:]]), 0o755)
    for name, text in plan.files.items():
        _write(root, name, text, 0o755 if text.startswith("#!") else 0o644)
    os.sync()


def _write(root: Path, name: str, text: str, mode: int) -> None:
    path = root / name.lstrip("/")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)


def _enter(root: Path) -> None:
    before = root / "run/before"
    before.mkdir()
    pivot_root(str(root), str(before))
    os.chdir("/")
    unmount_lazily("/run/before")
    Path("/run/before").rmdir()


def _make_proc() -> None:
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in _FROZEN:
        path = f"/proc/{name}"
        if Path(path).exists():
            mount(path, path, "", MS_BIND)
            mount("", path, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def _freeze_sys() -> None:
    mount("", "/sys", "", MS_REMOUNT | MS_RDONLY, "mode=0755")
