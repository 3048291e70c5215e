"""What a first boot is asked to do, and how it is seen from outside whether it was done."""

from __future__ import annotations

import secrets
import shlex
import string
from dataclasses import dataclass, field
from typing import Optional

from tests.demo.guest import Guest
from tests.fabric import Vm, first_boot
from tests.fabric.media import MediaKey, OvfMedia

USER = "azureuser"
KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9tcs5Wf5LtzPHD1hVHTmbRvoXUvOVBVqKQnGsNr9Mn user@example"
)
AUTHORIZED = f"/home/{USER}/.ssh/authorized_keys"
LIB = "/var/lib/waagent"
SINCE = "/run/lease.script"
PLACES = ("/var", "/etc", "/home", "/run", "/tmp", "/opt", "/srv")
CHECK = "my $p=<STDIN>; chomp $p; my $h=$ARGV[0]; exit(crypt($p,$h) eq $h ? 0 : 1)"


def make_password() -> str:
    """A password that stands nowhere else on this machine."""
    return "Pw-" + "".join(secrets.choice(string.ascii_letters) for _ in range(20))


@dataclass(frozen=True)
class Wish:
    """What the media asks for."""

    password: str = field(default_factory=make_password)
    custom_data: bytes = b"custom data of the test"

    def media(self) -> OvfMedia:
        """The media that asks for it."""
        return OvfMedia(
            user=USER,
            password=self.password,
            disable_password_authentication=False,
            keys=(MediaKey(path=f"$HOME/{USER}/.ssh/authorized_keys", value=KEY),),
            custom_data=self.custom_data,
        )

    def vm(self) -> Vm:
        """The machine at the fabric."""
        return first_boot()


def has_password(guest: Guest, password: str, *, user: str = USER) -> bool:
    """Whether the user's hash is that of the password."""
    for line in guest.read("/etc/shadow").splitlines():
        name, hashed = line.split(":")[:2]
        if name == user and hashed.startswith("$6$"):
            script = guest.path("/run/check-password")
            script.write_text(password + "\n", encoding="utf-8")
            try:
                command = f"perl -e '{CHECK}' '{hashed}' </run/check-password"
                return guest.run("sh", "-c", command).code == 0
            finally:
                script.unlink()
    return False


def places_with(guest: Guest, text: str) -> list[str]:
    """Files that were written since the guest's start and in which the text stands.

    A large one is not the agent's: the view also shows what others write on this machine, such as
    the disk of a virtual machine. What goes away meanwhile is nothing to complain about.
    """
    tests = ("-xdev", "-type", "f", "-size", "-16384k", "-newer", SINCE, "-print0")
    command = shlex.join(["find", *PLACES, *tests])
    found = guest.run("sh", "-c", f"{command} 2>/dev/null")
    names = [name for name in found.output.split("\0") if name]
    return [name for name in names if text in (read_if_there(guest, name) or "")]


def read_if_there(guest: Guest, name: str) -> Optional[str]:
    """A file's text; the agent is at work, and files come and go."""
    try:
        return guest.read(name)
    except FileNotFoundError:
        return None


def complaints(guest: Guest, wish: Wish) -> list[str]:
    """What is wrong with a machine that should be set up, empty when all is well."""
    sudoers = guest.read("/etc/sudoers.d/waagent").splitlines()
    keys = guest.read(AUTHORIZED).splitlines()
    written = places_with(guest, wish.password)
    wrong = {
        "the password is not set": not has_password(guest, wish.password),
        f"the password stands in {written}": bool(written),
        f"sudoers is {sudoers}": sudoers != [f"{USER} ALL=(ALL) ALL"],
        f"authorized_keys is {keys}": keys != [KEY],
        "the host name is not set": guest.read("/etc/hostname").strip() != "fabric-vm",
        "there is no provisioned file": not guest.exists(f"{LIB}/provisioned"),
        "the custom data is not saved": not guest.exists(f"{LIB}/CustomData"),
        "root's password is not locked": "root:*LOCK*:" not in guest.read("/etc/shadow"),
        f"users are {guest.read('/etc/passwd').count(USER + ':x:')}": guest.read(
            "/etc/passwd"
        ).count(USER + ":x:")
        != 1,
        f"leftovers {leftovers(guest)}": bool(leftovers(guest)),
    }
    return [what for what, is_so in wrong.items() if is_so]


def leftovers(guest: Guest) -> list[str]:
    """Half-written files that nobody will ever finish."""
    found = guest.run(
        "find",
        LIB,
        "/etc/ssh",
        "/etc/sudoers.d",
        f"/home/{USER}",
        "/etc",
        "-maxdepth",
        "1",
        "(",
        "-name",
        ".*.??????*",
        "-o",
        "-name",
        "*.waagent-new",
        "-o",
        "-name",
        "*.new",
        ")",
        "-newer",
        SINCE,
        "-print",
    )
    return found.output.split()
