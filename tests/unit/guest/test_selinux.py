"""SELinux labels of files that are made and of files that are replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from tests.support.machine import Machine, User
from tests.support.runner import ok
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
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"unconfined_u:object_r:ssh_home_t:s0\0"),
        (b"u:object_r:user_home_t:s0\0", b"unconfined_u:object_r:ssh_home_t:s0\0"),
        (b"staff_u:object_r:ssh_home_t:s0\0", b"staff_u:object_r:ssh_home_t:s0\0"),
    ],
)
def test_folder_of_a_key_has_the_label_without_which_sshd_reads_nothing_in_it(
    tmp_path: Path, before: Optional[bytes], after: bytes
) -> None:
    folders = ["/home/azu/.ssh"] if before else []
    guest = Machine(users=[User("azu")], files=ENFORCE, folders=folders).boot(tmp_path)
    folder = guest.path("/home/azu/.ssh")
    if before:
        os.setxattr(folder, "security.selinux", before)
    ssh.deploy_public_key(guest.system, "azu", "$HOME/azu/.ssh/k", "ssh-rsa AAAA", home_dir="/home")
    assert selinux.read_label(folder) == after


@pytest.mark.root
@pytest.mark.parametrize("before", [None, b"u:object_r:my_key_t:s0\0"])
def test_host_key_has_the_label_of_host_keys_or_the_one_it_had(
    tmp_path: Path, before: Optional[bytes]
) -> None:
    def make(argv: tuple[str, ...], _stdin: bytes) -> None:
        for suffix in ("", ".pub"):
            guest.write(f"{argv[-1]}{suffix}", "ssh-rsa AAAA")

    name = "/etc/ssh/ssh_host_rsa_key"
    old = {name: "old"} if before else {}
    guest = Machine(files={**ENFORCE, **old}, commands={("ssh-keygen",): ok(do=make)}).boot(
        tmp_path
    )
    if before:
        os.setxattr(guest.path(name), "security.selinux", before)
    ssh.ensure_host_keys(guest.system, ssh_dir="/etc/ssh", key_type="rsa", regenerate=True)
    expected = before or b"system_u:object_r:sshd_key_t:s0\0"
    assert selinux.read_label(guest.path(name)) == expected


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
