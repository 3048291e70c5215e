"""Debian as other distributions are: each init system, each DHCP client, each Python.

A `System` is a base with the agent installed in it by its own Python; `Azure` is at the other end
of its cable and its drive holds the provisioning media. What is looked at is in `first_boot`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from tests.containers.container import SOURCE, Container, Text
from tests.containers.debian import Debian
from tests.containers.lab import Lab
from tests.containers.segment import cable_to
from tests.demo.azure import Azure, colons, render_hosts
from tests.demo.blocks import LoopDevice
from tests.demo.namespaces import NetworkNamespace
from tests.fabric import Fabric, Vm, first_boot
from tests.fabric.media import MediaKey, OvfMedia, write_squashfs

DRIVE = "/dev/sr0"
AGENT = "/usr/sbin/waagent"
USER = "azureuser"

# What a cloud image has beside its init system and its network manager.
PLAIN = (
    *("procps", "iproute2", "netbase", "hostname", "kmod", "udev", "init-system-helpers"),
    *("openssh-server", "openssh-client", "sudo", "openssl", "ca-certificates", "logrotate"),
    *("e2fsprogs", "fdisk", "parted", "iptables"),
    *("python3", "python3-asn1crypto", "python3-cryptography", "python3-lxml"),
    *("python3-psutil", "python3-pyudev"),
)
SYSTEMD = ("systemd", "systemd-sysv", "dbus")
IFUPDOWN = {
    "/etc/network/interfaces": (
        "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"
    )
}

# A base as an image builder leaves it: it never had a name or host keys.
GENERALIZED = r"""
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
: >/etc/fstab
echo unprovisioned >/etc/hostname
mkdir -p /opt/waagent
"""

# The kernel may read no disc format, and a loop device knows no eject: mount(8) finds the first,
# the agent the second. What is ejected is gone, as from a real drive.
MOUNT_HELPER = '#!/bin/sh\nexec mount -i -t squashfs -o ro "$1" "$2"\n'
EJECT = f'#!/bin/sh\n[ "$1" = {DRIVE} ] && exec rm {DRIVE}\nexit 1\n'

# Run by the distribution's own Python in an image in which nothing runs: no init, no network.
INSTALL = """
cd {source}
export PYTHONDONTWRITEBYTECODE=1
python3 -m tools.packaging.install --family {family}
chmod 0755 /usr/bin/eject /usr/sbin/mount.iso9660
PYTHONPATH={source} python3 -c '
from waagent.core.system import real_system
from waagent.guest import services
assert services.register(real_system(), "{service}")
'
{more}
"""


@dataclass(frozen=True)
class Distro:
    """A system to be proven; `init` is its first process, `expected` what is to be found there."""

    title: str
    base: Debian
    family: str
    service: str
    expected: str
    ssh: str = "ssh"
    host_keys: tuple[str, ...] = ("rsa", "ecdsa", "ed25519")
    files: dict[str, Text] = field(default_factory=dict)
    more: str = ""
    init: tuple[str, ...] = ()


@dataclass(frozen=True)
class Person:
    """Who makes the machine: a password used nowhere else, and a key."""

    password: str
    private_key: str
    public_key: str


class Machine:
    """A container of a distribution that boots as a new machine on Azure."""

    def __init__(self, lab: Lab, distro: Distro) -> None:
        self.distro = distro
        self.vm: Vm = first_boot()
        self.person = _make_person()
        self._lab = lab
        self._folder = Path(tempfile.mkdtemp(prefix="waagent-distro-"))
        self._stack = contextlib.ExitStack()
        self._azure: Optional[Azure] = None
        self._container: Optional[Container] = None
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def media(self) -> OvfMedia:
        """What the drive holds."""
        key = MediaKey(f"/home/{USER}/.ssh/authorized_keys", value=self.person.public_key)
        return OvfMedia(
            hostname=self.vm.identity.name,
            user=USER,
            password=self.person.password,
            disable_password_authentication=False,
            keys=(key,),
            custom_data=b"#!/bin/sh\nexit 0\n",
        )

    @property
    def fabric(self) -> Fabric:
        """The fabric at the other end of the cable."""
        assert self._azure is not None
        return self._azure.fabric

    @property
    def container(self) -> Container:
        """What is looked into."""
        assert self._container is not None
        return self._container

    def __enter__(self) -> Machine:
        try:
            self._boot()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _boot(self) -> None:
        drive = LoopDevice(write_squashfs(self.media, self._folder / "media"))
        self._stack.callback(drive.close)
        network = NetworkNamespace()
        self._stack.callback(network.close)
        self._azure = Azure(self.vm, cable_to(network, colons(self.vm.identity.mac_address)))
        self._stack.callback(self._azure.close)
        network.run("ip", "link", "set", "lo", "up")
        container = self._lab.container(
            network,
            base=self.distro.base,
            files={**self._files(), **self.distro.files},
            prepare=INSTALL.format(
                source=SOURCE,
                family=self.distro.family,
                service=self.distro.service,
                more=self.distro.more,
            ),
            init=self.distro.init,
        )
        self._container = self._stack.enter_context(container)
        numbers = (str(os.major(drive.number)), str(os.minor(drive.number)))
        container.must("mknod", DRIVE, "b", *numbers)

    def _files(self) -> dict[str, Text]:
        return {
            "/etc/hosts": render_hosts("unprovisioned", self.vm.identity.name),
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
            "/usr/bin/eject": EJECT,
            "/usr/sbin/mount.iso9660": MOUNT_HELPER,
        }


def _make_person() -> Person:
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", USER, "-f", str(key)]
        subprocess.run(words, check=True)
        public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        return Person(f"Only-{os.urandom(6).hex()}!", key.read_text(encoding="utf-8"), public)
