"""A machine as a value: given files, users, links and commands, it boots into a folder.

``Machine(...).boot(tmp_path)`` gives a ``Guest``: a ``System`` rooted there and a recorder. A
machine that contradicts itself is refused, with every contradiction listed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from tests.support.clock import ManualClock
from tests.support.runner import Answer, Answers, Argv, ScriptedRunner
from waagent.core.commands import CANNOT_START
from waagent.core.system import System
from waagent.guest.profile import Profile
from waagent.guest.profiles import profile_of
from waagent.guest.release import Release, read_release
from waagent.guest.routes import parse_routes

DATA = Path(__file__).parent.parent / "data"
ME = os.geteuid()
ANY_USER = 1000 if ME == 0 else ME
ROUTE_HEADER = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
)


class Contradiction(Exception):
    """The test's machine cannot exist."""


@dataclass(frozen=True)
class User:
    """A line of /etc/passwd, with its home folder."""

    name: str
    uid: int = ANY_USER
    gid: int = ANY_USER
    home: str = ""
    shell: str = "/bin/bash"

    @property
    def folder(self) -> str:
        """The home folder."""
        return self.home or f"/home/{self.name}"

    def line(self) -> str:
        """As in /etc/passwd."""
        return f"{self.name}:x:{self.uid}:{self.gid}::{self.folder}:{self.shell}\n"


ROOT_USER = User("root", uid=0, gid=0, home="/root")


@dataclass(frozen=True)
class Link:
    """A network link under /sys/class/net."""

    name: str
    index: int = 2
    mac: str = "00:0d:3a:00:00:01"
    flags: str = "0x1003"
    operstate: str = "up"
    type: str = "1"


LOOPBACK = Link("lo", index=1, mac="00:00:00:00:00:00", flags="0x9", type="772")
ETH0 = Link("eth0")


@dataclass(frozen=True)
class Machine:
    """What a guest is before the act."""

    distro: str = "debian-12"
    files: Mapping[str, Union[str, bytes]] = field(default_factory=dict)
    folders: Sequence[str] = ()
    symlinks: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    commands: Mapping[Argv, Answers] = field(default_factory=dict)
    users: Sequence[User] = ()
    links: Sequence[Link] = (LOOPBACK, ETH0)
    environment: Mapping[str, str] = field(default_factory=dict)

    def boot(self, root: Path) -> Guest:
        """Lay the machine out under a folder."""
        problems = self._contradictions()
        if problems:
            raise Contradiction("; ".join(problems))
        root = root.resolve()
        for path, content in self._laid_out().items():
            _write(root, path, content)
        for folder in self.folders:
            _rooted(root, folder).mkdir(parents=True, exist_ok=True)
        for path, target in self.symlinks.items():
            _rooted(root, path).parent.mkdir(parents=True, exist_ok=True)
            _rooted(root, path).symlink_to(target)
        for path in self._programs():
            _write(root, path, "")
            _rooted(root, path).chmod(0o755)
        for path, mode in self.modes.items():
            _rooted(root, path).chmod(mode)
        clock = ManualClock()
        runner = ScriptedRunner(self.commands)
        return Guest(System(root, runner, clock, self.environment), clock, runner)

    def _laid_out(self) -> dict[str, Union[str, bytes]]:
        files: dict[str, Union[str, bytes]] = {}
        if self.distro:
            sample = DATA / "os-release" / self.distro
            files["/etc/os-release"] = sample.read_text(encoding="utf-8")
        files["/etc/passwd"] = "".join(user.line() for user in (ROOT_USER, *self.users))
        for link in self.links:
            folder = f"/sys/class/net/{link.name}"
            files[f"{folder}/address"] = link.mac + "\n"
            files[f"{folder}/flags"] = link.flags + "\n"
            files[f"{folder}/ifindex"] = f"{link.index}\n"
            files[f"{folder}/operstate"] = link.operstate + "\n"
            files[f"{folder}/type"] = link.type + "\n"
        files.update(self.files)
        return files

    def _programs(self) -> list[str]:
        names = set()
        for argv, answers in self.commands.items():
            if not _says_missing(answers):
                names.add(argv[0])
        return sorted(name if name.startswith("/") else f"/usr/bin/{name}" for name in names)

    def _contradictions(self) -> list[str]:
        problems = []
        known = {link.name for link in self.links}
        table = self.files.get("/proc/net/route", "")
        text = table.decode() if isinstance(table, bytes) else table
        for route in parse_routes(text):
            if route.interface not in known:
                problems.append(f"a route uses {route.interface}, which the machine does not have")
        uids = [user.uid for user in self.users]
        if len(set(uids)) < len(uids):
            problems.append(f"two users have the same uid: {sorted(uids)}")
        indexes = [link.index for link in self.links]
        if len(set(indexes)) < len(indexes):
            problems.append(f"two links have the same index: {sorted(indexes)}")
        places = {**self.files, **self.symlinks}
        for path in places:
            if not path.startswith("/"):
                problems.append(f"{path} is not absolute")
            above = [other for other in places if path.startswith(other + "/")]
            problems += [
                f"{other} is a file and holds {path}"
                for other in above
                if other not in self.symlinks
            ]
        both = sorted(set(self.files) & set(self.symlinks))
        problems += [f"{path} is both a file and a link" for path in both]
        return problems


@dataclass
class Guest:
    """A machine that was booted: what it has become can be looked at."""

    system: System
    clock: ManualClock
    runner: ScriptedRunner

    @property
    def release(self) -> Release:
        """What it says it is."""
        return read_release(self.system)

    @property
    def profile(self) -> Profile:
        """How its distribution does things."""
        return profile_of(self.release)

    @property
    def ran(self) -> list[Argv]:
        """The commands that were run, in order."""
        return self.runner.ran

    def stdin(self, call: int = -1) -> bytes:
        """What a command was given on standard input."""
        return self.runner.calls[call].stdin or b""

    def path(self, absolute: str) -> Path:
        """Where a path of the guest lies."""
        return self.system.path(absolute)

    def file(self, absolute: str) -> str:
        """A file's text."""
        return self.path(absolute).read_text(encoding="utf-8")

    def mode(self, absolute: str) -> int:
        """A file's permission bits."""
        return self.path(absolute).stat().st_mode & 0o7777

    def owner(self, absolute: str) -> tuple[int, int]:
        """A file's uid and gid."""
        state = self.path(absolute).stat()
        return state.st_uid, state.st_gid

    def names(self, absolute: str) -> list[str]:
        """What a folder holds, sorted."""
        return sorted(entry.name for entry in self.path(absolute).iterdir())

    def write(self, absolute: str, content: Union[str, bytes]) -> None:
        """Put a file there, with the folders it needs."""
        _write(self.system.root, absolute, content)


def routes(*rows: tuple[str, str, str, str, int, str]) -> str:
    """A /proc/net/route of rows: interface, destination, gateway, flags, metric, mask (hex)."""
    lines = (
        f"{interface}\t{destination}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"
        for interface, destination, gateway, flags, metric, mask in rows
    )
    return ROUTE_HEADER + "".join(lines)


def _says_missing(answers: Answers) -> bool:
    return isinstance(answers, Answer) and answers.code == CANNOT_START


def _rooted(root: Path, absolute: str) -> Path:
    return root / absolute.lstrip("/")


def _write(root: Path, absolute: str, content: Union[str, bytes]) -> None:
    path = _rooted(root, absolute)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
