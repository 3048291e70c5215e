"""The machine of these tests: it asks for users as the goal state would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

from tests.support.accounts import KillingRunner, boot_with_accounts
from waagent.core.clock import Stop
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.errors import CryptoError
from waagent.core.events import Events, Op
from waagent.core.paths import make_paths
from waagent.core.records import replace
from waagent.protocol.documents.remoteaccess import RemoteAccess, RemoteUser
from waagent.remoteaccess.users import RemoteUsers

HOURS = "Sat, 31 Jan 2026 18:00:00 GMT"  # the clock starts at 10:11:12 of that day
DAYS = "Tue, 03 Feb 2026 18:00:00 GMT"
BAD = "cannot be opened"


def grant(*names: str, until: str = HOURS, incarnation: str = "1") -> RemoteAccess:
    """A list of users; the password of each is its name and a 1."""
    users = tuple(RemoteUser(name, f"{name}1", until) for name in names)
    return RemoteAccess(users, incarnation=incarnation)


class Lent:
    """A machine with its accounts, and the agent's part, which may be started anew."""

    def __init__(self, root: Path) -> None:
        self.guest, self.accounts = boot_with_accounts(root)
        self.opened: list[list[str]] = []
        self.opening_fails: Optional[Exception] = None
        self.stop = Stop()
        self.users = self.start()

    def start(
        self, *, runner: Optional[KillingRunner] = None, is_supported: bool = True
    ) -> RemoteUsers:
        """The agent's part, as after a restart; it may be one that is killed."""
        system = self.guest.system
        if runner is not None:
            system = replace(system, runner=runner)
        conf = Conf()
        paths = make_paths(system, conf)
        paths.lib.mkdir(parents=True, exist_ok=True)
        self.events_folder = paths.events
        events = Events(paths.events, system.clock)
        context = Context(system, conf, paths, events, self.stop, {})
        self.users = RemoteUsers(context, self.open_passwords, is_supported=is_supported)
        return self.users

    def open_passwords(self, sealed: Sequence[str]) -> tuple[Union[str, CryptoError], ...]:
        """See ``PasswordOpener``."""
        self.opened.append(list(sealed))
        if self.opening_fails is not None:
            raise self.opening_fails
        return tuple(CryptoError(BAD) if each == "bad1" else each for each in sealed)

    @property
    def ours(self) -> list[str]:
        """The accounts with our comment."""
        passwd = self.accounts.read("passwd")
        return [name for name, fields in passwd.items() if fields[4] == "JIT_Account"]

    @property
    def sudoers(self) -> list[str]:
        """The lines of our sudoers file."""
        return self.guest.file("/etc/sudoers.d/waagent").splitlines()

    @property
    def changes(self) -> list[str]:
        """The programs that changed accounts, in order."""
        names = ("useradd", "usermod", "chpasswd", "userdel")
        return [argv[0] for argv in self.guest.ran if argv[0] in names]

    @property
    def deletions(self) -> list[tuple[str, ...]]:
        """Each call of userdel."""
        return [argv for argv in self.guest.ran if argv[0] == "userdel"]

    @property
    def said(self) -> list[tuple[bool, str]]:
        """What telemetry was told: success and message."""
        found = []
        for path in sorted(self.events_folder.glob("*.tld")):
            document = json.loads(path.read_text(encoding="utf-8"))
            values = {each["name"]: each["value"] for each in document["parameters"]}
            if values.get("Operation") == Op.REMOTE_ACCESS.value:
                found.append((values["OperationSuccess"], values["Message"]))
        return found

    @property
    def failures(self) -> list[str]:
        """What went wrong, as telemetry was told."""
        return [message for is_good, message in self.said if not is_good]

    def write_passwd(self, line: str) -> None:
        """One more account, which somebody else made."""
        self.guest.write("/etc/passwd", self.guest.file("/etc/passwd") + line + "\n")
