"""The agent's just-in-time users on a machine that is thrown away, with its real programs."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from cryptography import x509

from tests.fabric.certificates import AES
from tests.fabric.sealing import seal_password
from tests.integration.guest_floor.programs import output, run, shadow
from tests.support.clock import ManualClock
from waagent.core.clock import Stop
from waagent.core.commands import Runner
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.records import replace
from waagent.core.system import real_system
from waagent.protocol.documents.remoteaccess import RemoteAccess, RemoteUser
from waagent.protocol.passwords import open_passwords_in_process
from waagent.protocol.transport import make_transport_certificate
from waagent.remoteaccess.leaving import Leaving
from waagent.remoteaccess.users import RemoteUsers

PASSWORD = "Pä55 w:rd$"
UNTIL = "Sat, 31 Jan 2026 18:00:00 GMT"  # the clock says 10:11:12 of that day
SUDOERS = Path("/etc/sudoers.d/waagent")


class Lender:
    """Wants users as a goal state would, and looks at what became of them."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self._folder = folder
        private, certificate = make_transport_certificate(self.clock.now())
        self._recipient = x509.load_pem_x509_certificate(certificate)
        self._key = folder / "TransportPrivate.pem"
        self._key.write_bytes(private)
        self.users = self.start()

    def start(self, runner: Optional[Runner] = None) -> RemoteUsers:
        """The agent's part, as after a restart."""
        system = replace(real_system(), clock=self.clock)
        if runner is not None:
            system = replace(system, runner=runner)
        conf = Conf()
        events = Events(self._folder, self.clock)
        paths = make_paths(system, conf)
        paths.lib.mkdir(exist_ok=True)
        self.leaving = Leaving(paths.leaving_users)
        context = Context(system, conf, paths, events, Stop(), {})
        opener = open_passwords_in_process(self._key)
        self.users = RemoteUsers(context, opener, is_supported=True)
        return self.users

    def grant(self, *names: str, until: str = UNTIL, incarnation: str = "1") -> RemoteAccess:
        """A list with sealed passwords."""
        sealed = seal_password(PASSWORD, self._recipient, AES)
        users = tuple(RemoteUser(name, sealed, until) for name in names)
        return RemoteAccess(users, incarnation=incarnation)


def check_whole(name: str) -> None:
    """The account can be used: its password, its end, its home and sudo."""
    stored = shadow(name)[1]
    assert output("perl", "-e", "print crypt(<STDIN>, $ARGV[0])", stored, stdin=PASSWORD) == stored
    assert "Feb 01, 2026" in output("chage", "-l", name)
    entry = output("getent", "passwd", name).split(":")
    assert entry[4] == "JIT_Account"
    assert Path(entry[5]).stat().st_uid == int(entry[2])
    assert SUDOERS.read_text().splitlines().count(f"{name} ALL=(ALL) ALL") == 1
    output("visudo", "-c")


def check_gone(name: str) -> None:
    """Nothing of it is left."""
    for database in ("passwd", "group", "shadow", "gshadow"):
        assert run("getent", database, name).returncode != 0
        assert f"{name}:" not in Path(f"/etc/{database}").read_text()
    assert not Path(f"/home/{name}").exists()
    assert not SUDOERS.exists() or f"{name} " not in SUDOERS.read_text()
