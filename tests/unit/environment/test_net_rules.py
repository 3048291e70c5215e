"""Rules that pin network names are moved away, and what was kept of them stays."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.unit.environment.machine import LIB, context_of, run_for, thread_of
from waagent.core.errors import GuestError
from waagent.environment.net_rules import RULES, remove_net_rules

GENERATOR, PINNED = RULES
NAMES = [path.rpartition("/")[2] for path in RULES]


def test_rules_are_moved_to_the_lib_dir_and_kept_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {GENERATOR: "generate\n", PINNED: 'NAME="eth7"\n'}
    guest = Machine("rhel-9.4", files=files).boot(tmp_path)
    context = context_of(guest)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):  # the reference deletes the copy in its second pass
            remove_net_rules(context)
    assert not guest.path(GENERATOR).exists()
    assert not guest.path(PINNED).exists()
    assert guest.file(f"{LIB}/{NAMES[1]}") == 'NAME="eth7"\n'
    assert guest.file(f"{LIB}/{NAMES[0]}") == "generate\n"
    assert caplog.messages == [f"Move rules file {name} to {LIB}/{name}" for name in NAMES]


def test_rules_that_come_again_replace_the_copy(tmp_path: Path) -> None:
    files = {PINNED: "new\n", f"{LIB}/{NAMES[1]}": "old\n"}
    guest = Machine("rhel-9.4", files=files).boot(tmp_path)
    remove_net_rules(context_of(guest))
    assert guest.file(f"{LIB}/{NAMES[1]}") == "new\n"


def test_link_by_which_an_administrator_masks_the_rules_stays(tmp_path: Path) -> None:
    guest = Machine("rhel-9.4", symlinks={PINNED: "/dev/null"}).boot(tmp_path)
    remove_net_rules(context_of(guest))
    assert guest.system.entry(PINNED).is_symlink()
    assert guest.names(LIB) == []


def test_rules_are_removed_only_once_they_are_kept(tmp_path: Path) -> None:
    guest = Machine("rhel-9.4", files={PINNED: "new\n"}).boot(tmp_path)
    context = context_of(guest)
    context.paths.lib.rmdir()
    with pytest.raises(GuestError, match="No such file"):
        remove_net_rules(context)
    assert guest.file(PINNED) == "new\n"


@pytest.mark.parametrize(
    ("distro", "removed"),
    [("rhel-9.4", True), ("sles-15.5", True), ("debian-12", False), ("ubuntu-24.04", False)],
)
def test_rules_are_left_alone_where_the_distribution_has_none_of_that_kind(
    tmp_path: Path, distro: str, removed: bool
) -> None:
    guest = Machine(distro, files={PINNED: "x\n"}).boot(tmp_path)
    run_for(guest, thread_of(guest), 31)
    assert guest.path(PINNED).exists() is not removed
