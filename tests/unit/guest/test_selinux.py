"""SELinux labels of files that are made and of files that are replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.machine import Machine, User
from waagent.guest import selinux, ssh

ENFORCE = {"/sys/fs/selinux/enforce": "1"}
SHADOW_LABEL = b"system_u:object_r:shadow_t:s0\0"


def test_selinux_is_enabled_where_the_kernel_has_its_file_system(tmp_path: Path) -> None:
    assert selinux.is_enabled(Machine(files=ENFORCE).boot(tmp_path / "with").system)
    assert not selinux.is_enabled(Machine().boot(tmp_path / "without").system)


@pytest.mark.root
def test_deployed_key_has_the_label_of_ssh_files(tmp_path: Path) -> None:
    guest = Machine(users=[User("azu")], files=ENFORCE).boot(tmp_path)
    ssh.deploy_public_key(guest.system, "azu", "$HOME/azu/keys", "ssh-rsa AAAA", home_dir="/home")
    label = selinux.read_label(guest.path("/home/azu/keys"))
    assert label == b"unconfined_u:object_r:ssh_home_t:s0\0"


@pytest.mark.root
def test_deployed_key_has_no_label_without_selinux(tmp_path: Path) -> None:
    guest = Machine(users=[User("azu")]).boot(tmp_path)
    ssh.deploy_public_key(guest.system, "azu", "$HOME/azu/keys", "ssh-rsa AAAA", home_dir="/home")
    assert selinux.read_label(guest.path("/home/azu/keys")) is None


@pytest.mark.root
def test_replaced_file_keeps_its_label(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    path.write_text("old", encoding="ascii")
    os.setxattr(path, "security.selinux", SHADOW_LABEL)
    selinux.rewrite(path, "new")
    assert path.read_text(encoding="ascii") == "new"
    assert selinux.read_label(path) == SHADOW_LABEL


def test_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old", encoding="ascii")
    path.chmod(0o604)
    selinux.rewrite(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o604
