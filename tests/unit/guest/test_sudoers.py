"""The agent's own sudoers file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Guest, Machine
from tests.support.runner import Answers, Argv, fails, ok
from waagent.core.errors import GuestError
from waagent.guest.sudoers import ensure_sudoer, remove_sudoer

FOLDER = "/etc/sudoers.d"
FILE = "/etc/sudoers.d/waagent"
OTHER = "azureuser ALL=(ALL) ALL\n"


def booted(tmp_path: Path, content: str = "", **commands: Answers) -> Guest:
    files = {FILE: content} if content else {}
    declared: dict[Argv, Answers] = {(name,): answer for name, answer in commands.items()}
    return Machine(files=files, folders=[FOLDER], commands=declared).boot(tmp_path)


def add(guest: Guest, name: str = "azu", *, needs_password: bool = False) -> bool:
    return ensure_sudoer(guest.system, name, sudoers_dir=FOLDER, needs_password=needs_password)


def test_sudoer_without_password_has_one_line_however_often_it_is_added(tmp_path: Path) -> None:
    guest = booted(tmp_path)
    assert add(guest)
    assert not add(guest)
    assert guest.file(FILE) == "azu ALL=(ALL) NOPASSWD: ALL\n"
    assert guest.mode(FILE) == 0o440
    assert guest.names(FOLDER) == ["waagent"]


def test_sudoer_whose_kind_changes_still_has_one_line(tmp_path: Path) -> None:
    guest = booted(tmp_path)
    add(guest)
    assert add(guest, needs_password=True)
    assert guest.file(FILE) == "azu ALL=(ALL) ALL\n"


def test_sudoer_lines_that_were_added_again_and_again_become_one(tmp_path: Path) -> None:
    guest = booted(tmp_path, "azu ALL=(ALL) NOPASSWD: ALL\n" * 300)
    assert add(guest)
    assert guest.file(FILE) == "azu ALL=(ALL) NOPASSWD: ALL\n"


def test_sudoer_file_gets_its_mode_back(tmp_path: Path) -> None:
    guest = booted(tmp_path, "azu ALL=(ALL) ALL\n")
    assert not add(guest, needs_password=True)
    assert guest.mode(FILE) == 0o440


def test_other_sudoers_are_kept_even_when_their_name_contains_the_users(tmp_path: Path) -> None:
    guest = booted(tmp_path, OTHER)
    add(guest)
    assert remove_sudoer(guest.system, "azu", sudoers_dir=FOLDER)
    assert guest.file(FILE) == OTHER


def test_removing_the_last_sudoer_leaves_no_empty_file(tmp_path: Path) -> None:
    guest = booted(tmp_path, "azu ALL=(ALL) ALL\n")
    assert remove_sudoer(guest.system, "azu", sudoers_dir=FOLDER)
    assert guest.names(FOLDER) == []
    assert not remove_sudoer(guest.system, "azu", sudoers_dir=FOLDER)


def test_sudoers_file_is_checked_beside_its_place_before_it_takes_effect(tmp_path: Path) -> None:
    guest = booted(tmp_path, visudo=ok())
    add(guest)
    assert guest.ran == [("visudo", "-c", "-f", f"{FILE}.new")]
    assert guest.names(FOLDER) == ["waagent"]


def test_sudoers_file_that_visudo_refuses_changes_nothing(tmp_path: Path) -> None:
    guest = booted(tmp_path, OTHER, visudo=fails(1, "syntax error"))
    with pytest.raises(GuestError, match=r"visudo refuses.*syntax error"):
        add(guest)
    assert guest.file(FILE) == OTHER
    assert guest.names(FOLDER) == ["waagent"]


def test_user_loses_the_right_also_where_somebody_elses_line_is_broken(tmp_path: Path) -> None:
    """sudo skips that line alone, so ours would go on to count."""
    broken = f"no rule\n{OTHER}"
    guest = booted(tmp_path, f"{broken}azu ALL=(ALL) ALL\n", visudo=fails(1, "syntax error"))
    assert remove_sudoer(guest.system, "azu", sudoers_dir=FOLDER)
    assert guest.file(FILE) == broken
    assert guest.names(FOLDER) == ["waagent"]


def test_lines_that_would_be_broken_without_the_users_stay(tmp_path: Path) -> None:
    text = f"azu ALL=(ALL) \\\nALL\n{OTHER}"
    guest = booted(tmp_path, text, visudo=[ok(), fails(1, "syntax error")])
    with pytest.raises(GuestError, match="visudo refuses"):
        remove_sudoer(guest.system, "azu", sudoers_dir=FOLDER)
    assert guest.file(FILE) == text
    assert guest.names(FOLDER) == ["waagent"]


@pytest.mark.parametrize(
    ("name", "word"), [("Azu-1", "Azu-1"), ("ADMIN", '"ADMIN"'), ("jürgen", '"jürgen"')]
)
def test_user_name_is_quoted_where_sudo_would_read_something_else(
    tmp_path: Path, name: str, word: str
) -> None:
    guest = booted(tmp_path)
    add(guest, name)
    assert guest.file(FILE) == f"{word} ALL=(ALL) NOPASSWD: ALL\n"
    assert remove_sudoer(guest.system, name, sudoers_dir=FOLDER)


@pytest.mark.parametrize("name", ["", "%sudo", "#0", "+net", "a b", 'a"b', "a\nb", "!azu", "a\\b"])
def test_user_name_that_could_name_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    guest = booted(tmp_path)
    with pytest.raises(GuestError, match="sudo takes no such user name"):
        add(guest, name)
    assert guest.names(FOLDER) == []


def test_folder_that_is_missing_is_made_and_included(tmp_path: Path) -> None:
    rule = b"# f\xfcr root\nroot ALL=(ALL) ALL\n"
    guest = Machine(files={"/etc/sudoers": rule}).boot(tmp_path)
    add(guest)
    assert guest.path("/etc/sudoers").read_bytes() == rule + b"\n#includedir /etc/sudoers.d\n"
    assert guest.file(FILE) == "azu ALL=(ALL) NOPASSWD: ALL\n"


@pytest.mark.parametrize(
    "line",
    [
        "@includedir /etc/sudoers.d",
        "#includedir /etc/sudoers.d/",
        '@includedir "/etc/sudoers.d"',
        "  @includedir sudoers.d  ",
    ],
)
@pytest.mark.parametrize("folders", [[], [FOLDER]])
def test_folder_that_is_included_already_is_not_included_twice(
    tmp_path: Path, line: str, folders: list[str]
) -> None:
    guest = Machine(files={"/etc/sudoers": f"{line}\n"}, folders=folders).boot(tmp_path)
    add(guest)
    assert guest.file("/etc/sudoers") == f"{line}\n"


@pytest.mark.parametrize("line", ["# includedir /etc/sudoers.d", "@includedir /etc/sudoers.d2"])
def test_folder_that_nothing_includes_is_included(tmp_path: Path, line: str) -> None:
    guest = Machine(files={"/etc/sudoers": line}, folders=[FOLDER]).boot(tmp_path)
    add(guest)
    assert guest.file("/etc/sudoers") == f"{line}\n\n#includedir /etc/sudoers.d\n"


def test_lines_of_others_that_visudo_refuses_are_kept_aside(tmp_path: Path) -> None:
    broken = f"this is no rule\n{OTHER}"
    guest = booted(tmp_path, broken, visudo=[fails(1, "syntax error"), ok()])
    assert add(guest)
    assert guest.file(FILE) == f"{OTHER}azu ALL=(ALL) NOPASSWD: ALL\n"
    assert guest.file(f"{FILE}.broken") == broken
    assert guest.mode(f"{FILE}.broken") == 0o440


def test_sudoers_of_the_vendor_are_not_hidden_by_a_new_file(tmp_path: Path) -> None:
    guest = Machine(files={"/usr/etc/sudoers": "@includedir /etc/sudoers.d\n"}).boot(tmp_path)
    add(guest)
    assert not guest.path("/etc/sudoers").exists()
