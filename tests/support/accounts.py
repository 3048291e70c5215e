"""Programs that keep accounts, for a machine in a folder; and an agent that is killed over them.

They do to /etc/passwd and /etc/shadow of the folder what shadow-utils do, and no more.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Optional

from tests.support.machine import Guest, Machine, User
from tests.support.runner import Argv, fails, ok
from waagent.core.commands import Begun, Child, Result, Runner, Spawn

FIRST_UID = 1001
EPOCH = date(1970, 1, 1)
OTHERS = (User("azureuser", uid=1000, gid=1000),)


class Killed(BaseException):
    """The agent is gone, as by SIGKILL: nothing may catch it."""


@dataclass
class KillingRunner:
    """Runs commands by another runner until the agent is killed, before or after one of them."""

    inner: Runner
    kill_at: int
    is_after: bool
    made: int = 0

    def run(self, argv: Argv, *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``."""
        here, self.made = self.made, self.made + 1
        if here == self.kill_at and not self.is_after:
            raise Killed
        result = self.inner.run(argv, stdin=stdin, timeout_s=timeout_s)
        if here == self.kill_at:
            raise Killed
        return result

    def begin(self, argv: Argv) -> Begun:
        """See ``Runner.begin``."""
        return self.inner.begin(argv)

    def start(self, spawn: Spawn) -> Child:
        """See ``Runner.start``."""
        return self.inner.start(spawn)


@dataclass
class AccountFiles:
    """The account files of a folder, and the programs that change them."""

    root: Path
    refused: set[str] = field(default_factory=set)

    def read(self, name: str) -> dict[str, list[str]]:
        """The lines of a file under /etc, by account."""
        text = (self.root / "etc" / name).read_text(encoding="utf-8")
        return {line.split(":")[0]: line.split(":") for line in text.splitlines()}

    def _write(self, name: str, lines: dict[str, list[str]]) -> None:
        text = "".join(":".join(fields) + "\n" for fields in lines.values())
        (self.root / "etc" / name).write_text(text, encoding="utf-8")

    def useradd(self, argv: Argv, _stdin: bytes) -> None:
        """useradd -m NAME [-e DATE] [-c COMMENT]."""
        name, options = argv[2], dict(zip(argv[3::2], argv[4::2]))
        passwd, shadow = self.read("passwd"), self.read("shadow")
        assert name not in passwd, f"useradd of {name}, who exists"
        uid = str(max([FIRST_UID - 1, *(int(fields[2]) for fields in passwd.values())]) + 1)
        home = f"/home/{name}"
        passwd[name] = [name, "x", uid, uid, options.get("-c", ""), home, "/bin/sh"]
        day = (date.fromisoformat(options["-e"]) - EPOCH).days if "-e" in options else ""
        shadow[name] = [name, "!", "20000", "0", "99999", "7", "", str(day), ""]
        self._write("passwd", passwd)
        self._write("shadow", shadow)
        folder = self.root / home[1:]
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, int(uid), int(uid))

    def usermod(self, argv: Argv, _stdin: bytes) -> None:
        """usermod -e DATE NAME."""
        shadow = self.read("shadow")
        shadow[argv[3]][7] = str((date.fromisoformat(argv[2]) - EPOCH).days)
        self._write("shadow", shadow)

    def chpasswd(self, _argv: Argv, stdin: bytes) -> None:
        """chpasswd -e."""
        name, _, secret = stdin.decode().rstrip("\n").partition(":")
        shadow = self.read("shadow")
        shadow[name][1] = secret
        self._write("shadow", shadow)

    def userdel(self, argv: Argv, _stdin: bytes) -> None:
        """userdel -f [-r] NAME."""
        name = argv[-1]
        passwd, shadow = self.read("passwd"), self.read("shadow")
        home = self.root / passwd.pop(name)[5].lstrip("/")
        shadow.pop(name, None)
        self._write("passwd", passwd)
        self._write("shadow", shadow)
        if "-r" in argv and home.is_dir():
            for path in home.iterdir():
                path.unlink()
            home.rmdir()


def boot_with_accounts(root: Path) -> tuple[Guest, AccountFiles]:
    """A machine with an ordinary user, whose accounts can be changed."""
    accounts = AccountFiles(root)
    machine = Machine(
        users=OTHERS,
        files={
            "/etc/shadow": "root:*:20000:0:99999:7:::\nazureuser:$6$a$b:20000:0:99999:7:::\n",
            "/etc/group": "root:x:0:\nazureuser:x:1000:\ndocker:x:990:\n",
            "/etc/login.defs": "UID_MIN 1000\n",
            "/etc/sudoers.d/waagent": "azureuser ALL=(ALL) ALL\n",
        },
        folders=("/home/azureuser", "/var/run"),
        commands={
            ("useradd", "-m"): ok(do=accounts.useradd),
            ("usermod", "-e"): ok(do=accounts.usermod),
            ("chpasswd", "-e"): ok(do=accounts.chpasswd),
            ("userdel", "-f"): ok(do=accounts.userdel),
            ("useradd", "-m", "refused"): fails(3, "useradd: invalid user name 'refused'"),
            ("visudo", "-c", "-f"): ok(),
            ("getent",): fails(2),
        },
    )
    return machine.boot(root), accounts
