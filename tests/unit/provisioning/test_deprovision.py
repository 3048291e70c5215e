"""The flow of deprovision on a machine in a folder: questions, failures, what stays for later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

import pytest

from tests.fabric.media import OvfMedia, render_ovf_env
from tests.support.machine import Guest, Machine, User
from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from waagent.core.clearing import MAX_DEPTH
from waagent.core.clock import Stop
from waagent.core.conf import load
from waagent.core.context import Context
from waagent.core.errors import AgentError
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.provisioning.deprovision import QUESTION, Wish, deprovision

LIB = "/var/lib/waagent"
UNIT = "/lib/systemd/system"
CONF = b"Provisioning.DeleteRootPassword=y\nProvisioning.RegenerateSshHostKeyPair=y\n"
ME = User("azureuser", uid=4321, gid=4321)
PROGRAMS: dict[Argv, Answers] = {
    ("systemctl", "stop", "walinuxagent"): ok(),
    ("visudo",): ok(),
    ("userdel",): ok(),
}
FILES: dict[str, Union[str, bytes]] = {
    f"{LIB}/ovf-env.xml": render_ovf_env(OvfMedia(user="azureuser")),
    f"{LIB}/provisioned": "id",
    f"{LIB}/events/1.waagent.tld": "{}",
    "/var/log/azure/Some.Handler/log": "x",
    "/var/log/waagent.log": "x",
    "/etc/hostname": "old\n",
    "/etc/resolv.conf": "nameserver 10.0.0.1\n",
    "/etc/shadow": "root:hash:1::::::\nazureuser:x:1::::::\n",
    "/etc/ssh/ssh_host_rsa_key": "key",
    "/etc/ssh/ssh_host_rsa_key.pub": "key",
    "/etc/sudoers.d/waagent": "azureuser ALL=(ALL) NOPASSWD: ALL\n",
    "/proc/sys/kernel/hostname": "old\n",
    "/var/lib/dhcp/dhclient.eth0.leases": "lease",
    f"{UNIT}/walinuxagent.service.d/10-Slice.conf": "[Service]\n",
}


class Person:
    """Sits at the terminal, and may have an answer."""

    def __init__(self, answer: Optional[str] = None) -> None:
        self._answer = answer
        self.lines: list[str] = []
        self.is_committed = False

    def say(self, line: str) -> None:
        """Read it."""
        self.lines.append(line)

    def ask(self, question: str) -> Optional[str]:
        """Answer."""
        self.lines.append(question)
        return self._answer

    def commit(self) -> None:
        """From here on."""
        self.is_committed = True


class Room:
    """A machine, and who deprovisions it."""

    def __init__(
        self,
        root: Path,
        *,
        commands: Optional[Mapping[Argv, Answers]] = None,
        files: Optional[Mapping[str, Union[str, bytes]]] = None,
        conf: bytes = b"",
    ) -> None:
        self.guest: Guest = Machine(
            files={**FILES, **(files or {})},
            folders=("/home/azureuser", "/run/systemd/system", "/proc/1"),
            users=(ME,),
            commands={**PROGRAMS, ("userdel",): ok(do=self._delete), **(commands or {})},
        ).boot(root)
        system = self.guest.system
        full = load(CONF + conf, "conf").conf
        paths = make_paths(system, full)
        events = Events(paths.events, system.clock)
        self.context = Context(system, full, paths, events, Stop())

    def _delete(self, *_: object) -> None:
        lines = self.guest.file("/etc/passwd").splitlines(keepends=True)
        self.guest.write("/etc/passwd", "".join(x for x in lines if not x.startswith("azureuser")))
        self.guest.path("/home/azureuser").rmdir()

    def act(self, person: Person, **wish: bool) -> int:
        """Deprovision."""
        return deprovision(self.context, self.guest.profile, Wish(with_user=True, **wish), person)

    def is_there(self, path: str) -> bool:
        """Whether the guest has it."""
        return self.guest.path(path).exists()

    def everything(self) -> dict[str, bytes]:
        """All files."""
        root = self.guest.system.root
        return {str(p): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_all_is_clean_after_a_yes(tmp_path: Path) -> None:
    room, person = Room(tmp_path), Person("y")
    assert room.act(person) == 0
    assert QUESTION in person.lines
    assert room.guest.names(LIB) == room.guest.names("/var/log/azure") == []
    assert room.guest.file("/etc/shadow").startswith("root:*LOCK*:14600::::::\n")
    assert room.guest.file("/etc/hostname").strip() == "localhost.localdomain"
    gone = (
        "/etc/resolv.conf",
        "/etc/ssh/ssh_host_rsa_key",
        "/var/log/waagent.log",
        "/home/azureuser",
    )
    assert [path for path in gone if room.is_there(path)] == []
    assert not room.is_there(f"{UNIT}/walinuxagent.service.d")
    assert not room.is_there("/etc/sudoers.d/waagent")
    assert room.guest.ran[0] == ("systemctl", "stop", "walinuxagent")


def test_host_keys_that_were_being_made_when_the_power_went_go_too(tmp_path: Path) -> None:
    key = "/etc/ssh/.waagent-host-keys.0123456789ab/etc/ssh/ssh_host_rsa_key"
    room, person = Room(tmp_path, files={key: "key"}), Person("y")
    assert room.act(person) == 0
    assert f"      {room.guest.path('/etc/ssh/.waagent-host-keys.0123456789ab')}/" in person.lines
    assert room.guest.names("/etc/ssh") == []


@pytest.mark.parametrize("answer", ["n", "N", "no", "", "x y", "ja", None])
def test_nothing_is_done_without_a_yes(tmp_path: Path, answer: Optional[str]) -> None:
    room, person = Room(tmp_path), Person(answer)
    before = room.everything()
    if answer is None:
        with pytest.raises(AgentError, match="nothing has been changed"):
            room.act(person)
    else:
        assert room.act(person) == 0
    assert room.everything() == before
    assert room.guest.ran == []
    assert not person.is_committed


@pytest.mark.parametrize("answer", ["y", "Y", "yes", "yours"])
def test_answer_that_begins_with_y_is_a_yes(tmp_path: Path, answer: str) -> None:
    person = Person(answer)
    assert Room(tmp_path).act(person) == 0
    assert person.is_committed


@pytest.mark.parametrize("force", [True, False])
def test_dry_run_asks_nothing_runs_nothing_and_changes_nothing(tmp_path: Path, force: bool) -> None:
    room, person = Room(tmp_path), Person("y")
    before = room.everything()
    assert room.act(person, dry_run=True, force=force) == 0
    assert room.everything() == before
    assert room.guest.ran == []
    assert QUESTION not in person.lines


@pytest.mark.parametrize(
    "answer",
    [fails(1, "busy"), missing(), times_out(), ok()],
    ids=["fails", "missing", "hangs", "lies"],
)
def test_account_that_cannot_be_deleted_is_reported_and_remembered(
    tmp_path: Path, answer: Answers
) -> None:
    """The saved document has the name: it stays for the run after this one, and nothing else."""
    room, person = Room(tmp_path, commands={("userdel",): answer}), Person()
    assert room.act(person, force=True) == 1
    assert room.guest.names(LIB) == ["ovf-env.xml"]
    assert room.is_there("/etc/sudoers.d/waagent")
    assert not room.is_there("/etc/ssh/ssh_host_rsa_key")
    assert [line for line in person.lines if "Failed to delete the account azureuser" in line]
    assert person.lines[-1].startswith("  delete the account azureuser")


SERVICE_STAYS: dict[Argv, Answers] = {
    ("systemctl", "stop", "walinuxagent"): fails(1),
    ("systemctl", "is-active"): ok(),
}
SERVICE_IS_GONE: dict[Argv, Answers] = {
    ("systemctl", "stop", "walinuxagent"): fails(5),
    ("systemctl", "is-active"): fails(3),
}
STOP_HANGS: dict[Argv, Answers] = {
    ("systemctl", "stop", "walinuxagent"): times_out(),
    ("systemctl", "is-active"): times_out(),
}


@pytest.mark.parametrize(
    ("commands", "code"),
    [(SERVICE_STAYS, 1), (SERVICE_IS_GONE, 0), (STOP_HANGS, 0)],
    ids=["goes on", "is not there", "nobody can say"],
)
def test_service_that_cannot_be_stopped_is_reported_only_if_it_runs(
    tmp_path: Path, commands: Mapping[Argv, Answers], code: int
) -> None:
    room, person = Room(tmp_path, commands=commands), Person()
    assert room.act(person, force=True) == code
    assert room.guest.names(LIB) == []


def test_daemon_that_is_no_service_is_reported(tmp_path: Path) -> None:
    running = {
        "/run/waagent.pid": "77",
        "/proc/77/cmdline": "python3\0/usr/sbin/waagent\0-daemon\0",
    }
    room, person = Room(tmp_path, files=running, conf=b"Pid.File=/run/waagent.pid\n"), Person()
    assert room.act(person, force=True) == 1
    assert "process 77 is no service" in "\n".join(person.lines)
    assert room.guest.names(LIB) == []


def test_step_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    """A missing shadow file, say."""
    room, person = Room(tmp_path, conf=b"OS.PasswordPath=/etc/nowhere\n"), Person()
    assert room.act(person, force=True) == 1
    failed = [line for line in person.lines if "Failed to lock root's password" in line]
    assert len(failed) == 1
    assert room.guest.names(LIB) == []
    assert not room.is_there("/home/azureuser")


def test_unit_that_a_package_owns_stays(tmp_path: Path) -> None:
    unit = f"{UNIT}/walinuxagent-network-setup.service"
    owned = ok(f"waagent: {unit}\n")
    files = {unit: "[Unit]\n", f"{LIB}/waagent-network-setup.py": ""}
    room = Room(tmp_path, files=files, commands={("dpkg-query", "-S"): owned})
    person = Person()
    assert room.act(person, force=True) == 0
    assert room.is_there(unit)
    assert not room.is_there(f"{UNIT}/walinuxagent.service.d/10-Slice.conf")
    assert [line for line in person.lines if line.endswith(f"{unit}: it belongs to a package")]


def test_home_that_is_not_the_users_own_is_not_deleted_with_the_account(tmp_path: Path) -> None:
    room, person = Room(tmp_path), Person()
    passwd = room.guest.file("/etc/passwd").replace("/home/azureuser", "/var/www")
    room.guest.write("/etc/passwd", passwd)
    room.guest.write("/var/www/index.html", "hello")
    assert room.act(person, force=True) == 1
    assert room.guest.file("/var/www/index.html") == "hello"
    assert not [argv for argv in room.guest.ran if argv[0] == "userdel"]


def test_home_of_somebody_else_is_not_deleted_with_the_account(tmp_path: Path) -> None:
    """userdel -f would not look whose it is. The plan says so before the question."""
    room, asked, person = Room(tmp_path), Person("n"), Person()
    owner = room.guest.path("/home/azureuser").stat().st_uid
    room.guest.write(
        "/etc/passwd", f"{room.guest.file('/etc/passwd')}bob:x:{owner or 4322}:9::/b:\n"
    )
    if not owner:
        os.chown(room.guest.path("/home/azureuser"), 4322, 9)
    room.guest.write("/home/azureuser/file", "bob's")
    room.act(asked)
    told = f"{room.guest.path('/home/azureuser')}: it is not azureuser's, but of the user"
    assert f"      left alone: {told} {owner or 4322}" in asked.lines
    assert room.act(person, force=True) == 1
    assert room.guest.file("/home/azureuser/file") == "bob's"
    assert not [argv for argv in room.guest.ran if argv[0] == "userdel"]
    assert room.is_there("/etc/sudoers.d/waagent")


@pytest.mark.parametrize(
    "name", ["../etc", "/", ".", "a/b", "*"], ids=["up", "root", "here", "below", "any"]
)
def test_user_name_that_is_a_path_leads_nowhere(tmp_path: Path, name: str) -> None:
    job = "/var/spool/cron/crontabs/another"
    files: dict[str, Union[str, bytes]] = {
        f"{LIB}/ovf-env.xml": render_ovf_env(OvfMedia(user=name)),
        job: "* * * * * true",
    }
    room = Room(tmp_path, files=files, commands={("getent",): fails(2)})
    room.act(Person(), force=True)
    assert room.is_there("/etc/passwd")
    assert room.is_there(job)
    assert room.is_there("/home/azureuser")
    assert not [argv for argv in room.guest.ran if argv[0] == "userdel"]


def test_document_that_cannot_be_read_gives_no_name(tmp_path: Path) -> None:
    room, person = Room(tmp_path, files={f"{LIB}/ovf-env.xml": "<not><closed>"}), Person()
    assert room.act(person, force=True) == 0
    assert "WARNING! Skip delete user." in person.lines
    assert room.is_there("/home/azureuser")
    assert room.guest.names(LIB) == []


def test_long_list_is_cut_before_the_question_and_whole_in_a_dry_run(tmp_path: Path) -> None:
    files = {f"{LIB}/GoalState.{number}.xml": "x" for number in range(30)}
    room = Room(tmp_path, files=files)
    asked, looked = Person("n"), Person()
    room.act(asked)
    room.act(looked, dry_run=True)
    shown = [sum("GoalState." in line for line in person.lines) for person in (asked, looked)]
    assert shown == [10, 30]
    assert "      and 23 more" in asked.lines


def test_long_list_of_failures_is_cut(tmp_path: Path) -> None:
    room, person = Room(tmp_path), Person()
    for number in range(13):
        (room.guest.path(LIB) / f"{number:02}" / "/".join("d" * (MAX_DEPTH + 1))).mkdir(
            parents=True
        )
    assert room.act(person, force=True) == 1
    told = [line for line in person.lines if "nested more than" in line]
    assert len(told) == 20, "in the step and at the end"
    assert person.lines.count("      and 3 more") == 1
    assert [line for line in person.lines[-1:] if line.endswith(": and 3 more")]


def test_links_that_lead_in_a_circle_are_removed_and_no_error(tmp_path: Path) -> None:
    room, person = Room(tmp_path), Person()
    for name in ("/etc/resolv.conf", "/var/lib/dhcp3"):
        place = room.guest.system.entry(name)
        place.unlink(missing_ok=True)
        place.symlink_to(name)
    assert room.act(person, force=True) == 0, person.lines
    assert not [name for name in ("resolv.conf", "dhcp3") if name in room.guest.names("/etc")]
    assert "dhcp3" not in room.guest.names("/var/lib")
