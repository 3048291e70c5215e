"""The machine, the runner and the clock that other tests trust."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.clock import START, ManualClock
from tests.support.machine import ETH0, Contradiction, Link, Machine, User, routes
from tests.support.runner import fails, missing, ok, times_out
from waagent.core.clock import Clock, Stop
from waagent.core.errors import CommandTimedOut


def test_machine_boots_into_a_system_below_a_folder(tmp_path: Path) -> None:
    machine = Machine("ubuntu-22.04", files={"/etc/a": "b"}, symlinks={"/c": "/etc/a"})
    guest = machine.boot(tmp_path)
    assert guest.release.name == "ubuntu"
    assert guest.file("/c") == "b"
    assert guest.file("/sys/class/net/eth0/ifindex") == "2\n"


def test_machine_that_contradicts_itself_is_refused_with_every_reason(tmp_path: Path) -> None:
    machine = Machine(
        files={
            "/proc/net/route": routes(("eth9", "00000000", "00000000", "0001", 0, "00000000")),
            "/a": "",
            "/a/b": "",
            "relative": "",
        },
        symlinks={"/a": "/x"},
        users=[User("a", uid=5), User("b", uid=5)],
        links=[ETH0, Link("eth1", index=2)],
    )
    with pytest.raises(Contradiction) as refused:
        machine.boot(tmp_path)
    for reason in ("eth9", "same uid", "same index", "not absolute", "both a file and a link"):
        assert reason in str(refused.value)


def test_machine_with_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Contradiction, match="/a is a file and holds /a/b"):
        Machine(files={"/a": "", "/a/b": ""}).boot(tmp_path)


def test_command_that_nobody_declared_fails_the_test_past_any_except(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    with pytest.raises(pytest.fail.Exception, match="nobody declared") as failure:
        guest.system.run("rm", "-rf", "/")
    assert not isinstance(failure.value, Exception)


def test_command_is_answered_by_the_longest_declaration(tmp_path: Path) -> None:
    machine = Machine(commands={("a",): ok("short"), ("a", "b"): fails(3, "long")})
    guest = machine.boot(tmp_path)
    assert guest.system.run("a", "b", "c").code == 3
    assert guest.system.run("a", "c").stdout == "short"
    assert guest.ran == [("a", "b", "c"), ("a", "c")]


def test_command_with_several_answers_gives_them_in_order_and_no_more(tmp_path: Path) -> None:
    guest = Machine(commands={("a",): [ok("1"), ok("2")]}).boot(tmp_path)
    assert [guest.system.run("a").stdout for _ in range(2)] == ["1", "2"]
    with pytest.raises(pytest.fail.Exception, match="3 times, declared 2"):
        guest.system.run("a")


def test_command_that_is_declared_is_a_program_unless_it_is_missing(tmp_path: Path) -> None:
    machine = Machine(commands={("a",): ok(), ("b",): missing(), ("c",): times_out()})
    guest = machine.boot(tmp_path)
    assert guest.system.has_command("a")
    assert not guest.system.has_command("b")
    assert not guest.system.run("b").ok
    with pytest.raises(CommandTimedOut):
        guest.system.run("c")


def test_command_effect_sees_the_arguments_and_the_input(tmp_path: Path) -> None:
    seen: list[tuple[tuple[str, ...], bytes]] = []
    answer = ok(do=lambda argv, stdin: seen.append((argv, stdin)))
    guest = Machine(commands={("a",): answer}).boot(tmp_path)
    guest.system.run("a", "b", stdin=b"in")
    assert seen == [(("a", "b"), b"in")]
    assert guest.stdin() == b"in"


def test_clock_passes_the_time_of_a_wait_at_once() -> None:
    clock: Clock = ManualClock()
    before = clock.monotonic()
    assert not clock.wait(None, 3600)
    assert clock.monotonic() == before + 3600
    assert (clock.now() - START).total_seconds() == 3600


def test_clock_lets_planned_things_happen_in_their_order_and_time() -> None:
    clock = ManualClock()
    happened: list[tuple[str, float]] = []
    start = clock.monotonic()
    clock.at(5, lambda: happened.append(("second", clock.monotonic() - start)))
    clock.at(2, lambda: happened.append(("first", clock.monotonic() - start)))
    clock.at(50, lambda: happened.append(("later", 0)))
    clock.wait(None, 10)
    assert happened == [("first", 2), ("second", 5)]
    assert clock.monotonic() == start + 10


def test_clock_wait_ends_when_somebody_asks_to_stop() -> None:
    clock, stop = ManualClock(), Stop()
    start = clock.monotonic()
    clock.at(2, stop.set)
    assert clock.wait(stop, 10)
    assert clock.monotonic() == start + 2
    assert clock.wait(stop, 10)
    assert clock.monotonic() == start + 2
    stop.close()


def test_clock_wait_ends_when_a_descriptor_speaks() -> None:
    clock = ManualClock()
    start = clock.monotonic()
    reader, writer = os.pipe()

    def speak() -> None:
        os.write(writer, b"x")

    clock.at(3, speak)
    assert not clock.wait(None, 10, reader)
    assert clock.monotonic() == start + 3
    assert not clock.wait(None, 10, reader)
    assert clock.monotonic() == start + 3
    os.close(reader)
    os.close(writer)
