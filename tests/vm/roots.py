"""Root file systems without an agent: Debian's own, built and kept, or one that somebody gives.

A base is a folder of the cache with `disk`, `vmlinuz` and `initrd`. It is made once; its name holds
a digest of what it is made from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Protocol

from tests.vm.image import Image
from tests.vm.shell import BuildFailed, run

# Raise it to have every base made anew, when something below changes that no list shows.
RECIPE = 8

# A small cloud image: what boots, what is needed to log in, and what the agent's package asks for.
# The guest agent of QEMU lets a test look into the machine without the network or an account.
DEBIAN_PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "linux-image-cloud-amd64", "procps"),
    *("ifupdown", "isc-dhcp-client", "iproute2", "netbase", "openssh-server", "sudo", "eject"),
    *("openssl", "ca-certificates"),
    *("e2fsprogs", "fdisk", "parted", "xfsprogs", "iptables", "logrotate", "qemu-guest-agent"),
    *("python3", "python3-asn1crypto", "python3-cryptography", "python3-lxml"),
    *("python3-psutil", "python3-pyudev"),
)

INSTALL = "apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io"

# An image that was prepared: it has no name yet, no password, and a journal that stays.
PREPARE = r"""
if [ -d /etc/network ]; then
  printf '%s\n' 'auto lo' 'iface lo inet loopback' 'auto eth0' 'iface eth0 inet dhcp' \
    >/etc/network/interfaces
fi
printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >/etc/fstab
echo unprovisioned >/etc/hostname
: >/etc/machine-id
mkdir -p /var/log/journal
"""


@dataclass(frozen=True)
class BareSystem:
    """A root file system with its kernel, and the family of distributions that it belongs to."""

    title: str
    family: str
    disk: Path
    kernel: Path
    initrd: Path


class Root(Protocol):
    """Something that a base can be made from."""

    def ensure(self, cache: Path) -> BareSystem:
        """Make it, unless it is in the cache."""
        ...


@dataclass(frozen=True)
class DebianRoot:
    """A suite of Debian, from its own packages."""

    suite: str

    def ensure(self, cache: Path) -> BareSystem:
        """Make it, unless it is in the cache."""
        digest = _digest(self.suite, str(RECIPE), PREPARE, *DEBIAN_PACKAGES)
        folder = cache / f"debian-{self.suite}-{digest}"
        if not folder.is_dir():
            _make(folder, f"Debian {self.suite} from its packages", self._build)
        return _base(f"Debian {self.suite}", "debian", folder)

    def _build(self, folder: Path) -> None:
        root, log = folder / "root", folder / "log"
        run("debootstrap", "--variant=minbase", self.suite, str(root), log=log)
        image = Image.make(root, folder / "disk")
        shutil.rmtree(root)
        image.change(f"apt-get update -qq\n{INSTALL} {' '.join(DEBIAN_PACKAGES)}", log=log)
        image.change(f"{PREPARE}\napt-get clean", log=log)
        _take_kernel(image, folder)


@dataclass(frozen=True)
class GivenRoot:
    """Another distribution's root, as a tar archive or a folder, with a kernel in boot/.

    It has to bring what the agent runs, systemd, sshd, and QEMU's guest agent.
    """

    source: Path
    family: str

    def ensure(self, cache: Path) -> BareSystem:
        """Put it on a disk, unless that was done before."""
        if not self.source.exists():
            raise BuildFailed(f"cannot find the root file system {self.source}")
        seen = self.source.stat()
        digest = _digest(str(self.source.resolve()), str(seen.st_mtime_ns), str(RECIPE), PREPARE)
        folder = cache / f"given-{digest}"
        if not folder.is_dir():
            _make(folder, f"the root file system of {self.source}", self._build)
        return _base(self.source.name, self.family, folder)

    def _build(self, folder: Path) -> None:
        root = folder / "root"
        if self.source.is_dir():
            run("cp", "-a", str(self.source), str(root))
        else:
            root.mkdir()
            run("tar", "-xpf", str(self.source), "-C", str(root), "--numeric-owner")
        image = Image.make(root, folder / "disk")
        shutil.rmtree(root)
        image.change(PREPARE, log=folder / "log")
        _take_kernel(image, folder)


def find_cache() -> Path:
    """Where bases are kept between runs: WAAGENT_CACHE, or the user's cache folder."""
    named = os.environ.get("WAAGENT_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(home) / "waagent"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _make(folder: Path, what: str, build: Callable[[Path], None]) -> None:
    """Build beside the place, and move there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Making {what}", flush=True)
    started = time.monotonic()
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        build(fresh)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    print(f"Made {what} in {time.monotonic() - started:.0f} s", flush=True)


def _take_kernel(image: Image, folder: Path) -> None:
    """Copy the newest kernel and its initramfs out of a disk: QEMU starts them itself."""
    script = f"""
    kernel=$(ls boot/vmlinuz-* | sort -V | tail -n 1)
    version=${{kernel#boot/vmlinuz-}}
    for initrd in boot/initrd.img-$version boot/initramfs-$version.img boot/initrd-$version; do
      if [ -e "$initrd" ]; then cp "$initrd" '{folder}/initrd'; fi
    done
    cp "$kernel" '{folder}/vmlinuz'
    """
    image.look(script)
    if not (folder / "initrd").exists():
        raise BuildFailed("cannot find an initramfs beside the kernel in boot/")


def _base(title: str, family: str, folder: Path) -> BareSystem:
    return BareSystem(title, family, folder / "disk", folder / "vmlinuz", folder / "initrd")
