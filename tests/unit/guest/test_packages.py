"""Which files packages own, asked of the package manager that is there."""

from __future__ import annotations

from pathlib import Path

from tests.support.machine import Machine
from tests.support.runner import Answer, fails, ok, times_out
from waagent.guest.packages import find_packaged

OURS = "/usr/lib/systemd/system/waagent.service"
OTHER = "/usr/lib/systemd/system/waagent.service.d/10-Slice.conf"


def test_file_of_a_deb_is_known_under_either_name(tmp_path: Path) -> None:
    answer = Answer(code=1, stdout="waagent: /lib/systemd/system/waagent.service\n")
    guest = Machine(commands={("dpkg-query", "-S"): answer}).boot(tmp_path)
    assert find_packaged(guest.system, [OURS, OTHER]) == {OURS}
    assert len(guest.ran) == 1


def test_file_of_an_rpm_is_known(tmp_path: Path) -> None:
    answers = {("rpm", "-qf"): fails(1), ("rpm", "-qf", OURS): ok("waagent-1\n")}
    guest = Machine(commands=answers).boot(tmp_path)
    assert find_packaged(guest.system, [OURS, OTHER]) == {OURS}


def test_nothing_is_packaged_where_there_are_no_packages(tmp_path: Path) -> None:
    guest = Machine().boot(tmp_path)
    assert find_packaged(guest.system, [OURS]) == frozenset()
    assert find_packaged(guest.system, []) == frozenset()


def test_package_manager_that_hangs_has_not_said_no(tmp_path: Path) -> None:
    guest = Machine(commands={("dpkg-query", "-S"): times_out()}).boot(tmp_path)
    assert find_packaged(guest.system, [OURS, OTHER]) == {OURS, OTHER}
