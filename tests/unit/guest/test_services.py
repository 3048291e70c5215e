"""Services under each init system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.support.runner import Answer, Answers, Argv, fails, ok, times_out
from waagent.guest import services
from waagent.guest.services import Init

SYSTEMD = ("/run/systemd/system",)


def test_systemd_is_recognised_by_its_folder_and_not_by_its_program(tmp_path: Path) -> None:
    assert services.init_of(Machine(folders=SYSTEMD).boot(tmp_path).system) is Init.SYSTEMD


@pytest.mark.parametrize(
    ("program", "expected"), [("rc-service", Init.OPENRC), ("service", Init.SYSV)]
)
def test_other_init_systems_are_recognised_by_their_program(
    tmp_path: Path, program: str, expected: Init
) -> None:
    guest = Machine(commands={(program,): ok(), ("systemctl",): ok()}).boot(tmp_path)
    assert services.init_of(guest.system) is expected


def test_init_system_of_another_machine_is_not_taken_for_that_of_an_image(tmp_path: Path) -> None:
    """In a chroot /proc shows the builder's systemd; a service started there would run on it."""
    files = {"/proc/1/comm": "systemd\n"}
    commands: dict[Argv, Answers] = {("service",): ok(), ("update-rc.d",): ok()}
    guest = Machine(files=files, commands=commands).boot(tmp_path)
    assert services.init_of(guest.system) is Init.NONE
    assert not services.start(guest.system, "x")
    assert services.register(guest.system, "x")
    assert [command[0] for command in guest.ran] == ["update-rc.d", "update-rc.d"]


def test_service_is_refreshed_without_waiting_for_the_boot_on_systemd(tmp_path: Path) -> None:
    commands = {("systemctl", "is-failed"): fails(1), ("systemctl",): ok()}
    guest = Machine(folders=SYSTEMD, commands=commands).boot(tmp_path)
    assert services.refresh(guest.system, "ssh")
    assert guest.ran[1:] == [
        ("systemctl", "--job-mode=ignore-dependencies", "try-reload-or-restart", "ssh")
    ]


def test_service_that_has_given_up_is_started_by_a_refresh(tmp_path: Path) -> None:
    """An sshd without host keys fails until we have made some."""
    guest = Machine(folders=SYSTEMD, commands={("systemctl",): ok()}).boot(tmp_path)
    assert services.refresh(guest.system, "ssh")
    assert guest.ran[1:] == [
        ("systemctl", "reset-failed", "ssh"),
        ("systemctl", "--job-mode=ignore-dependencies", "start", "ssh"),
    ]


def test_service_that_does_not_run_is_not_started_by_a_refresh(tmp_path: Path) -> None:
    guest = Machine(commands={("rc-service", "sshd", "status"): fails(3)}).boot(tmp_path)
    assert not services.refresh(guest.system, "sshd")
    assert guest.ran == [("rc-service", "sshd", "status")]


@pytest.mark.parametrize(
    ("program", "link"),
    [
        ("service", "/etc/rc2.d/S01ssh"),
        ("service", "/etc/rc.d/rc3.d/S55ssh"),
        ("rc-service", "/etc/runlevels/default/ssh"),
    ],
)
def test_service_that_should_run_and_does_not_is_started_by_a_refresh(
    tmp_path: Path, program: str, link: str
) -> None:
    commands: dict[Argv, Answers] = {(program, "ssh", "status"): fails(3), (program,): ok()}
    guest = Machine(symlinks={link: "/etc/init.d/ssh"}, commands=commands).boot(tmp_path)
    assert services.refresh(guest.system, "ssh")
    assert guest.ran[1:] == [(program, "ssh", "restart")]


@pytest.mark.parametrize("link", ["/etc/rc2.d/K01ssh", "/etc/rc0.d/S01ssh", "/etc/rc2.d/S01sshd"])
def test_service_is_not_registered_by_a_link_that_does_not_start_it(
    tmp_path: Path, link: str
) -> None:
    guest = Machine(symlinks={link: "x"}, commands={("service",): ok()}).boot(tmp_path)
    assert not services.is_registered(guest.system, "ssh")


@pytest.mark.parametrize(("answer", "expected"), [(ok("enabled"), True), (fails(1), False)])
def test_service_is_registered_when_systemd_says_so(
    tmp_path: Path, answer: Answer, expected: bool
) -> None:
    commands: dict[Argv, Answers] = {("systemctl", "is-enabled", "--quiet", "ssh"): answer}
    guest = Machine(folders=SYSTEMD, commands=commands).boot(tmp_path)
    assert services.is_registered(guest.system, "ssh") is expected


@pytest.mark.parametrize(
    ("folders", "program", "expected"),
    [
        (SYSTEMD, "systemctl", ("systemctl", "restart", "x")),
        ((), "rc-service", ("rc-service", "x", "restart")),
        ((), "service", ("service", "x", "restart")),
    ],
)
def test_service_is_restarted_by_what_the_init_system_offers(
    tmp_path: Path, folders: tuple[str, ...], program: str, expected: tuple[str, ...]
) -> None:
    guest = Machine(folders=folders, commands={(program,): ok()}).boot(tmp_path)
    assert services.restart(guest.system, "x")
    assert guest.ran == [expected]


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_service_that_was_started_too_often_is_started_all_the_same(
    tmp_path: Path, verb: str
) -> None:
    commands: dict[Argv, Answers] = {
        ("systemctl", verb): [fails(1, "attempted too often"), ok()],
        ("systemctl", "reset-failed"): ok(),
    }
    guest = Machine(folders=SYSTEMD, commands=commands).boot(tmp_path)
    assert getattr(services, verb)(guest.system, "ssh")
    assert [command[1] for command in guest.ran] == [verb, "reset-failed", verb]


def test_service_that_does_not_exist_is_not_started_a_second_time(tmp_path: Path) -> None:
    guest = Machine(folders=SYSTEMD, commands={("systemctl",): fails(5)}).boot(tmp_path)
    assert not services.start(guest.system, "x")
    assert [command[1] for command in guest.ran] == ["start", "reset-failed"]


def test_service_call_that_hangs_is_a_failure_and_no_error(tmp_path: Path) -> None:
    guest = Machine(folders=SYSTEMD, commands={("systemctl",): times_out()}).boot(tmp_path)
    assert not services.is_active(guest.system, "x")
    assert not services.stop(guest.system, "x")


def test_nothing_is_run_where_no_init_system_is_known(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert not services.restart(guest.system, "x")
    assert not services.refresh(guest.system, "x")
    assert not services.is_active(guest.system, "x")
    assert not services.stop(guest.system, "x")
    assert not services.start(guest.system, "x")
    assert guest.ran == []


REGISTERED = [
    (SYSTEMD, ["systemctl"], [("systemctl", "unmask", "x"), ("systemctl", "enable", "x")]),
    ((), ["rc-service", "rc-update"], [("rc-update", "add", "x", "default")]),
    (
        (),
        ["service", "update-rc.d"],
        [("update-rc.d", "x", "defaults"), ("update-rc.d", "x", "enable")],
    ),
    ((), ["service", "chkconfig"], [("chkconfig", "--add", "x"), ("chkconfig", "x", "on")]),
    ((), ["systemctl"], [("systemctl", "enable", "x")]),
]


@pytest.mark.parametrize(("folders", "programs", "expected"), REGISTERED)
def test_service_is_registered_by_what_the_init_system_offers(
    tmp_path: Path, folders: tuple[str, ...], programs: list[str], expected: list[tuple[str, ...]]
) -> None:
    commands: dict[Argv, Answers] = {(program,): ok() for program in programs}
    guest = Machine(folders=folders, commands=commands).boot(tmp_path)
    assert services.register(guest.system, "x")
    assert guest.ran == expected


@pytest.mark.parametrize(
    ("folders", "programs", "expected"),
    [
        (SYSTEMD, ["systemctl"], ("systemctl", "disable", "x")),
        ((), ["rc-service", "rc-update"], ("rc-update", "delete", "x", "default")),
        ((), ["service", "update-rc.d"], ("update-rc.d", "x", "disable")),
        ((), ["service", "chkconfig"], ("chkconfig", "x", "off")),
        ((), ["systemctl"], ("systemctl", "disable", "x")),
    ],
)
def test_service_is_unregistered_by_what_the_init_system_offers(
    tmp_path: Path, folders: tuple[str, ...], programs: list[str], expected: tuple[str, ...]
) -> None:
    commands: dict[Argv, Answers] = {(program,): ok() for program in programs}
    guest = Machine(folders=folders, commands=commands).boot(tmp_path)
    assert services.unregister(guest.system, "x")
    assert guest.ran == [expected]


def test_service_is_registered_by_the_next_way_when_one_does_not_know_it(tmp_path: Path) -> None:
    """An image of the RHEL family in the making: chkconfig is there, but only a unit."""
    commands = {
        ("service",): ok(),
        ("chkconfig", "--add"): fails(1),
        ("systemctl", "enable", "x"): ok(),
    }
    guest = Machine(commands=commands).boot(tmp_path)
    assert services.register(guest.system, "x")
    assert guest.ran == [("chkconfig", "--add", "x"), ("systemctl", "enable", "x")]


def test_service_cannot_be_registered_where_nothing_registers_services(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert not services.register(guest.system, "x")
    assert not services.unregister(guest.system, "x")
    assert not services.is_registered(guest.system, "x")
