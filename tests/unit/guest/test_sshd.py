"""The SSH server's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from tests.support.machine import Guest, Machine
from tests.support.runner import Answer, Answers, Argv, fails, ok, times_out
from waagent.core.errors import GuestError
from waagent.guest.sshd import configure_sshd

SSHD = "/etc/ssh/sshd_config"
VENDOR = "/usr/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-waagent.conf"
THREE = "PasswordAuthentication no\nChallengeResponseAuthentication no\nClientAliveInterval 180\n"
SET = f"Port 22\n{THREE}"
EFFECTIVE = "passwordauthentication no\nkbdinteractiveauthentication no\nclientaliveinterval 180\n"
OPEN = EFFECTIVE.replace("passwordauthentication no", "passwordauthentication yes")
VISITOR = "user=azu,host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


def configure(guest: Guest, user: str = "azu", ssh_dir: str = "/etc/ssh") -> bool:
    return configure_sshd(
        guest.system,
        ssh_dir=ssh_dir,
        user=user,
        allow_password=False,
        client_alive_interval=180,
    )


def with_sshd(
    tmp_path: Path, *checks: Answer, tells: Answers = (), text: str = "Port 22\n"
) -> Guest:
    commands: dict[Argv, Answers] = {("sshd", "-t"): checks, ("sshd", "-T"): tells or ok()}
    machine = Machine(files={SSHD: text}, modes={SSHD: 0o600}, commands=commands if checks else {})
    return machine.boot(tmp_path)


def test_sshd_is_configured_once(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path)
    assert configure(guest)
    assert not configure(guest)
    assert guest.file(SSHD) == SET
    assert guest.mode(SSHD) == 0o600


def test_remarks_that_are_no_utf8_stay_as_they_are(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path)
    guest.write(SSHD, b"# f\xfcr alle\nPort 22\n")
    assert configure(guest)
    assert guest.path(SSHD).read_bytes() == b"# f\xfcr alle\n" + SET.encode()
    assert not configure(guest)


def test_settings_are_checked_before_they_take_effect(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, ok(), tells=ok(EFFECTIVE))
    configure(guest)
    new = f"{SSHD}.waagent-new"
    assert guest.ran == [("sshd", "-t", "-f", new), ("sshd", "-T", "-f", new, "-C", VISITOR)]
    assert guest.names("/etc/ssh") == ["sshd_config"]


def test_settings_that_sshd_refuses_change_nothing(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, fails(255, "bad option"), ok())
    with pytest.raises(GuestError, match=r"it refuses.*bad option"):
        configure(guest)
    assert guest.file(SSHD) == "Port 22\n"
    assert guest.names("/etc/ssh") == ["sshd_config"]


def test_settings_are_set_when_sshd_finds_fault_with_any(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, fails(1, "no hostkeys"), fails(1, "no hostkeys"))
    assert configure(guest)
    assert guest.file(SSHD) == SET


def test_sshd_that_does_not_answer_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, times_out())
    with pytest.raises(GuestError, match="cannot configure sshd"):
        configure(guest)
    assert guest.names("/etc/ssh") == ["sshd_config"]
    assert guest.file(SSHD) == "Port 22\n"


def test_folder_that_sshd_gets_when_it_starts_is_made_before(tmp_path: Path) -> None:
    complaint = fails(255, "Missing privilege separation directory: /run/sshd")
    guest = with_sshd(tmp_path, complaint, ok(), tells=ok(EFFECTIVE))
    assert configure(guest)
    assert guest.path("/run/sshd").is_dir()
    assert guest.mode("/run/sshd") == 0o755


@pytest.mark.parametrize("name", ["KbdInteractiveAuthentication", "SkeyAuthentication"])
def test_other_name_of_the_same_setting_is_set_where_it_stands(tmp_path: Path, name: str) -> None:
    """The first of the two would win, and leave passwords open."""
    guest = with_sshd(tmp_path, text=f"{name.lower()} yes\n")
    configure(guest)
    assert guest.file(SSHD) == f"{name} no\n{THREE}"


def test_settings_come_before_the_included_files_that_would_win(tmp_path: Path) -> None:
    text = f"# ours\n{INCLUDE}Match user x\n{INCLUDE}"
    guest = with_sshd(tmp_path, ok(), tells=[ok(OPEN), ok(EFFECTIVE)], text=text)
    assert configure(guest)
    assert guest.file(SSHD) == (
        f"# ours\nPasswordAuthentication no\n{INCLUDE}{THREE}Match user x\n{INCLUDE}"
    )


def test_settings_are_not_moved_where_that_does_not_help(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = with_sshd(tmp_path, ok(), tells=ok(OPEN), text=INCLUDE)
    assert configure(guest)
    assert guest.file(SSHD) == f"{INCLUDE}{THREE}"
    assert "PasswordAuthentication no" in caplog.messages[0]


def test_settings_that_have_moved_stay_where_they_are(tmp_path: Path) -> None:
    moved = f"PasswordAuthentication no\n{INCLUDE}{THREE}"
    guest = with_sshd(tmp_path, ok(), tells=ok(EFFECTIVE), text=moved)
    assert not configure(guest)
    assert guest.file(SSHD) == moved


def test_sshd_that_cannot_tell_what_holds_is_believed(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, ok(), tells=fails(1, "lport"))
    assert configure(guest)
    assert guest.file(SSHD) == SET


def test_user_whose_name_would_be_more_than_one_condition_is_not_asked_for(tmp_path: Path) -> None:
    guest = with_sshd(tmp_path, ok())
    configure(guest, user="a,host=x")
    assert guest.ran[-1][-1].startswith("user=nobody,host=unknown.invalid,")


def test_vendors_settings_are_completed_by_a_file_of_ours(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {("sshd", "-t"): ok(), ("sshd", "-T"): ok(EFFECTIVE)}
    guest = Machine(files={VENDOR: INCLUDE}, commands=commands).boot(tmp_path)
    assert configure(guest)
    assert guest.file(DROP_IN) == THREE
    assert guest.mode(DROP_IN) == 0o600
    assert guest.file(VENDOR) == INCLUDE
    assert not configure(guest)


@pytest.mark.parametrize("old", [None, "Port 23\n"])
def test_file_of_ours_that_sshd_refuses_is_taken_back(tmp_path: Path, old: Optional[str]) -> None:
    files = {VENDOR: INCLUDE, **({DROP_IN: old} if old else {})}
    guest = Machine(files=files, commands={("sshd",): fails(255, "bad")}).boot(tmp_path)
    with pytest.raises(GuestError, match="it refuses"):
        configure(guest)
    assert (guest.file(DROP_IN) if guest.path(DROP_IN).exists() else None) == old


@pytest.mark.parametrize("ssh_dir", ["/etc/ssh", "/opt/ssh"])
def test_sshd_without_settings_is_an_error_that_says_what_to_do(
    tmp_path: Path, ssh_dir: str
) -> None:
    files = {} if ssh_dir == "/etc/ssh" else {VENDOR: INCLUDE}
    with pytest.raises(GuestError, match=rf"no {ssh_dir}/sshd_config.*OS\.SshDir"):
        configure(Machine(files=files).boot(tmp_path), ssh_dir=ssh_dir)
