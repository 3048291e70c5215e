"""Writing as root into folders of users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.machine import ANY_USER, ME, Guest, Machine, User
from waagent.core.errors import GuestError
from waagent.guest.homes import LARGEST, open_folder, read_file, write_file

OWNER = (ANY_USER, ANY_USER)
MALLORY = User("mallory")


def put(guest: Guest, folder: str, name: str = "file", data: bytes = b"data") -> None:
    with open_folder(guest.system, folder, mode=0o700, owner=OWNER) as descriptor:
        write_file(guest.system, descriptor, name, data, mode=0o600, owner=OWNER)


def test_folder_is_made_with_mode_and_owner_and_its_parents_without(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    put(guest, "/home/azu/.ssh")
    assert guest.mode("/home/azu/.ssh") == 0o700
    assert guest.owner("/home/azu/.ssh") == OWNER
    assert guest.mode("/home/azu") == 0o755
    assert guest.owner("/home/azu")[0] == ME


def test_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    guest = Machine(folders=["/home/azu/.ssh"], modes={"/home/azu/.ssh": 0o750}).boot(tmp_path)
    put(guest, "/home/azu/.ssh")
    assert guest.mode("/home/azu/.ssh") == 0o750


def test_file_has_content_mode_and_owner_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    guest = Machine(files={"/home/azu/file": "old"}, modes={"/home/azu/file": 0o666})
    booted = guest.boot(tmp_path)
    put(booted, "/home/azu")
    assert booted.file("/home/azu/file") == "data"
    assert booted.mode("/home/azu/file") == 0o600
    assert booted.owner("/home/azu/file") == OWNER
    assert booted.names("/home/azu") == ["file"]


def test_link_that_root_made_is_followed_below_the_root(tmp_path: Path) -> None:
    guest = Machine(folders=["/var/home"], symlinks={"/home": "/var/home"}).boot(tmp_path)
    put(guest, "/home/azu")
    assert guest.file("/var/home/azu/file") == "data"


def test_link_that_climbs_stays_below_the_root(tmp_path: Path) -> None:
    guest = Machine(symlinks={"/home": "../../../../var"}).boot(tmp_path / "root")
    (tmp_path / "root").mkdir(exist_ok=True)
    put(guest, "/home/../home/azu")
    assert guest.file("/var/azu/file") == "data"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    guest = Machine(symlinks={"/home/a": "b", "/home/b": "a"}).boot(tmp_path)
    with pytest.raises(GuestError, match="circle"):
        put(guest, "/home/a")


@pytest.mark.root
def test_folder_that_a_user_replaced_by_a_link_is_refused(tmp_path: Path) -> None:
    machine = Machine(users=[MALLORY], folders=["/etc/x", "/home/mallory"])
    guest = machine.boot(tmp_path)
    link = guest.path("/home/mallory") / ".ssh"
    link.symlink_to("/etc/x")
    os.chown(link, MALLORY.uid, MALLORY.gid, follow_symlinks=False)
    with pytest.raises(GuestError, match=r'"\.ssh" in it is a link that a user made'):
        put(guest, "/home/mallory/.ssh")
    assert guest.names("/etc/x") == []


def test_file_that_a_user_replaced_by_a_link_is_not_written_through(tmp_path: Path) -> None:
    machine = Machine(files={"/etc/secret": "s"}, symlinks={"/home/azu/file": "/etc/secret"})
    guest = machine.boot(tmp_path)
    put(guest, "/home/azu")
    assert guest.file("/etc/secret") == "s"
    assert guest.file("/home/azu/file") == "data"
    assert not guest.path("/home/azu").joinpath("file").is_symlink()


def test_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    guest = Machine(files={"/home/azu/.ssh": ""}).boot(tmp_path)
    with pytest.raises(GuestError, match=r'cannot open the folder "/home/azu/\.ssh"'):
        put(guest, "/home/azu/.ssh")


def read(guest: Guest, folder: str, name: str) -> object:
    with open_folder(guest.system, folder, mode=0o700, owner=OWNER) as descriptor:
        return read_file(descriptor, name)


def test_file_is_read_if_it_is_there(tmp_path: Path) -> None:
    guest = Machine(files={"/home/azu/file": "text"}).boot(tmp_path)
    assert read(guest, "/home/azu", "file") == b"text"
    assert read(guest, "/home/azu", "other") is None


def test_file_that_may_show_somebody_elses_is_not_read(tmp_path: Path) -> None:
    machine = Machine(files={"/etc/secret": "s"}, symlinks={"/home/azu/link": "/etc/secret"})
    guest = machine.boot(tmp_path)
    os.link(guest.path("/etc/secret"), guest.path("/home/azu") / "hard")
    os.mkfifo(guest.path("/home/azu") / "pipe")
    for name in ("link", "hard", "pipe"):
        with pytest.raises(GuestError):
            read(guest, "/home/azu", name)


def test_file_without_end_is_not_read(tmp_path: Path) -> None:
    guest = Machine(files={"/home/azu/file": b"x" * (LARGEST + 1)}).boot(tmp_path)
    with pytest.raises(GuestError, match="larger than"):
        read(guest, "/home/azu", "file")
