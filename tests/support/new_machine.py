"""A new machine in a folder with its media in the drive, and a fabric that waits to hear of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional, Union

import pytest

from tests.fabric import Fabric, Vm
from tests.fabric.media import MediaKey, OvfMedia, render_ovf_env
from tests.support.machine import Machine, User
from tests.support.runner import Answers, Argv, fails, ok
from tests.support.spool import spooled
from waagent.core import files
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.errors import AgentError
from waagent.core.events import Events
from waagent.core.paths import Paths, make_paths
from waagent.protocol.network import make_transport
from waagent.protocol.session import Session, open_session
from waagent.protocol.transport import make_transport_certificate
from waagent.provisioning.choose import provision

LIB = "/var/lib/waagent"
DVD = "/mnt/cdrom/secure"
USER = "azureuser"
PASSWORD = "P4ss<&w0rd"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9tcs5Wf5LtzPHD1hVHTmbRvoXUvOVBVqKQnGsNr9Mn me@there"
KEYS_FILE = f"/home/{USER}/.ssh/authorized_keys"
HOST_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== root@new\n"
UUID = "00112233-4455-6677-8899-AABBCCDDEEFF"
VM_ID = "33221100-5544-7766-8899-AABBCCDDEEFF"
ENDPOINT = "168.63.129.16"
SSHD_CONFIG = "Port 22\nPasswordAuthentication yes\n"
WANTED = OvfMedia(
    user=USER,
    password=PASSWORD,
    keys=(MediaKey(path=f"$HOME/{USER}/.ssh/authorized_keys", value=KEY),),
)
FILES: dict[str, Union[str, bytes]] = {
    "/dev/sr0": "",
    "/etc/shadow": "root:x:1::::::\nother:x:1::::::\n",
    "/etc/ssh/sshd_config": SSHD_CONFIG,
    "/etc/sudoers": "@includedir /etc/sudoers.d\n",
    "/proc/mounts": "",
    "/proc/sys/kernel/hostname": "unprovisioned\n",
    "/proc/uptime": "12.34 1.00\n",
    "/sys/class/dmi/id/product_uuid": UUID + "\n",
}
FOLDERS = ("/home", "/etc/sudoers.d", "/run/systemd/system", LIB)


@functools.lru_cache(maxsize=1)
def transport_keys() -> tuple[bytes, bytes]:
    """Made once for all tests: it takes its time."""
    return make_transport_certificate(datetime.now(timezone.utc))


@dataclass
class World:
    """What is there before the act; ``provision`` is the act, again and again."""

    folder: Path
    fabric: Optional[Fabric] = None
    media: Union[OvfMedia, bytes, None] = WANTED
    conf: str = ""
    commands: Mapping[Argv, Answers] = field(default_factory=dict)
    files: Mapping[str, Union[str, bytes]] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    distro: str = "debian-12"

    def __post_init__(self) -> None:
        given = {**FILES, **self.files}
        self.guest = Machine(
            self.distro,
            files={name: text for name, text in given.items() if name not in self.without},
            folders=FOLDERS,
            commands={**self._programs(), **self.commands},
            users=(User("daemonlike", uid=1),),
        ).boot(self.folder)
        self.connected = 0
        self.cannot_connect: Optional[AgentError] = None

    def _programs(self) -> dict[Argv, Answers]:
        """The programs of a machine on which everything works."""
        return {
            ("mount",): ok(do=lambda *_: self.insert()),
            ("umount",): ok(do=lambda *_: self.remove()),
            ("eject",): ok(),
            ("systemctl", "is-enabled"): fails(1, stdout="disabled\n"),
            ("systemctl", "is-failed"): fails(1),
            ("systemctl", "--job-mode=ignore-dependencies"): ok(),
            ("hostnamectl",): ok(),
            ("useradd",): ok(do=lambda argv, _: self.add_user(argv[-1])),
            ("chpasswd", "-e"): ok(),
            ("visudo",): ok(),
            ("sshd",): ok(),
            ("ssh-keygen",): ok(do=lambda argv, _: self.make_host_key(argv)),
        }

    host_key = "/etc/ssh/ssh_host_rsa_key.pub"

    def make_host_key(self, argv: Argv) -> None:
        """What ssh-keygen does: the key where it was told, or below the prefix that it was told."""
        name = f"{argv[-1]}/etc/ssh/ssh_host_rsa_key" if "-A" in argv else argv[-1]
        self.guest.write(name, "PRIVATE")
        self.guest.write(f"{name}.pub", HOST_KEY)

    def insert(self) -> None:
        """What is on the media appears where it is mounted."""
        if self.media is None:
            return
        raw = self.media if isinstance(self.media, bytes) else render_ovf_env(self.media)
        self.guest.write(f"{DVD}/ovf-env.xml", raw)
        if isinstance(self.media, OvfMedia) and self.media.tag:
            self.guest.write(f"{DVD}/useMetadataEndpoint.tag", "")

    def remove(self) -> None:
        """It is gone again."""
        for path in self.guest.path(DVD).iterdir():
            path.unlink()

    def add_user(self, name: str) -> None:
        """What useradd does."""
        line = User(name).line()
        self.guest.write("/etc/passwd", self.guest.file("/etc/passwd") + line)
        self.guest.path(f"/home/{name}").mkdir(exist_ok=True)

    @property
    def paths(self) -> Paths:
        """Where things are on this machine."""
        return self.context.paths

    @functools.cached_property
    def context(self) -> Context:
        """Built once: the tests of one machine share its clock."""
        system = self.guest.system
        conf = load(f"Provisioning.DeleteRootPassword=y\n{self.conf}".encode(), "waagent.conf").conf
        paths = make_paths(system, conf)
        events = Events(paths.events, system.clock)
        addresses = self.fabric.address_book if self.fabric is not None else {}
        return Context(system, conf, paths, events, Stop(), addresses)

    def prepare(self) -> None:
        """The transport keys are there already."""

    def connect(self) -> Session:
        """The fabric found, and its goal state fetched."""
        if self.fabric is None:
            raise pytest.fail.Exception("the fabric was asked for, and there is none")
        self.connected += 1
        if self.cannot_connect is not None:
            raise self.cannot_connect
        private, certificate = transport_keys()
        files.write(self.paths.transport_private, private, mode=files.SECRET)
        files.write(self.paths.transport_cert, certificate, mode=files.SECRET)
        transport = make_transport(self.context)
        session = open_session(self.context, transport, ENDPOINT, keeps_history=False)
        session.store.refresh(force=True)
        return session

    def provision(self) -> Optional[Session]:
        """One start of the daemon."""
        return provision(self.context, self.guest.profile, self)

    @property
    def health(self) -> list[tuple[str, Optional[str], Optional[str]]]:
        """What the fabric was told, in order."""
        assert self.fabric is not None
        reports = self.fabric.world.received.health
        return [(report.state, report.sub_status, report.description) for report in reports]

    @property
    def ran(self) -> list[Argv]:
        """The commands in order, without ssh-keygen, which runs beside them."""
        return [argv for argv in self.guest.ran if argv[0] != "ssh-keygen"]

    def has(self, name: str) -> bool:
        """Whether the lib dir has a file."""
        return self.guest.path(f"{LIB}/{name}").exists()

    def events(self, operation: str) -> list[tuple[bool, str]]:
        """Outcome and message of the events of an operation."""
        found = [e for e in spooled(self.paths.events) if e.get("Operation") == operation]
        return [(bool(event["OperationSuccess"]), str(event["Message"])) for event in found]


STARTING = ("NotReady", "Provisioning", "Starting")
READY = ("Ready", None, None)


def failed(text: str) -> tuple[str, str, str]:
    """The report that the portal shows."""
    return ("NotReady", "ProvisioningFailed", text)


def plain_vm() -> Vm:
    """A machine whose goal state has nothing that takes its time."""
    return Vm(has_certificates=False)
