"""The root file system that containers lie over: Debian from its packages, made once and kept.

It is a folder of the cache whose name holds a digest of what it is made from. Nothing writes to it
once it is there: each container has an overlay of its own.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.containers.spawn import NSPAWN, VARIABLES, Group
from tests.vm.shell import run

# Raise it to have every base made anew, when something below changes that no list shows.
RECIPE = 1

# systemd, every network manager that Debian has, sshd, and what the agent's package asks for.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "procps", "iproute2", "netbase", "hostname"),
    *("network-manager", "ifupdown", "isc-dhcp-client", "dhcpcd-base", "udhcpc", "kmod"),
    *("openssh-server", "openssh-client", "sudo", "openssl", "ca-certificates", "logrotate"),
    *("e2fsprogs", "fdisk", "parted", "iptables", "eject", "init-system-helpers"),
    *("python3", "python3-asn1crypto", "python3-cryptography", "python3-lxml"),
    *("python3-psutil", "python3-pyudev"),
)
INSTALL = "apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io"

# No manager of networks is started unless a scenario says so; nothing here is this machine's.
PREPARE = r"""
for unit in NetworkManager NetworkManager-wait-online NetworkManager-dispatcher networking \
    systemd-networkd systemd-networkd.socket ssh apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer fstrim.timer dpkg-db-backup.timer logrotate.timer; do
  systemctl disable -q "$unit" 2>/dev/null || true
done
rm -f /etc/network/interfaces /etc/ssh/ssh_host_*
: >/etc/machine-id
echo unprovisioned >/etc/hostname
printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts
: >/etc/fstab
mkdir -p /var/lib/waagent /opt/waagent
"""


@dataclass(frozen=True)
class Debian:
    """A suite of Debian with some packages."""

    suite: str = "bookworm"
    packages: tuple[str, ...] = PACKAGES
    prepare: str = PREPARE

    def ensure(self, cache: Path) -> Path:
        """The folder with the root file system; it is made unless it is in the cache."""
        parts = (self.suite, str(RECIPE), self.prepare, *self.packages)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        folder = cache / f"container-{self.suite}-{digest}"
        if not folder.is_dir():
            _make(folder, self)
        return folder / "root"


def _make(folder: Path, base: Debian) -> None:
    """Build beside the place, and move there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Making Debian {base.suite} for containers from its packages", flush=True)
    started = time.monotonic()
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        root, log = fresh / "root", fresh / "log"
        run("debootstrap", "--variant=minbase", base.suite, str(root), log=log)
        script = f"apt-get update -qq\n{INSTALL} {' '.join(base.packages)}\n{base.prepare}\n"
        _change(root, f"{script}apt-get clean\nrm -rf /var/lib/apt/lists/*", log)
        (root / "etc/resolv.conf").unlink()
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    print(f"Made it in {time.monotonic() - started:.0f} s", flush=True)


def _change(root: Path, script: str, log: Path) -> None:
    """Run a script in there, with this machine's network, for apt; services do not start."""
    words = (*NSPAWN, "--as-pid2", "--resolv-conf=copy-host", *VARIABLES, "-D", str(root))
    group = Group()
    try:
        run(*group.command('"$@"', *words, "/bin/sh", "-euc", script), log=log)
    finally:
        group.remove()
