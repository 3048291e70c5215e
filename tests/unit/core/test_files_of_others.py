"""Files where others have a say: labels, links, pipes, and a disk that is full in earnest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from waagent.core import files
from waagent.core.errors import GuestError

FULL_DISK = """
import sys
from pathlib import Path
from waagent.core import archive, files, log
disk = Path(sys.argv[1])
target = disk / "state.json"
files.write(target, "old", mode=0o600)
for content in (b"x" * 1_000_000, b"y" * 70_000):
    try:
        files.write(target, content)
        print("written")
    except OSError as error:
        print(error.errno)
    try:
        files.rewrite(target, content)
        print("rewritten")
    except OSError as error:
        print(error.errno)
def names():
    return sorted(p.name for p in disk.iterdir())
print(target.read_bytes(), oct(target.stat().st_mode & 0o777), names())
try:
    archive.unpack(Path(sys.argv[2]), disk / "Ext-1.0")
except archive.ArchiveError as error:
    print("No space left" in str(error), names())
log.set_up(prefix=None, verbose=True, stdout=False)
log.add_file(disk / "waagent.log", prefix="Daemon", verbose=True)
import logging
speak = logging.getLogger("waagent.x").warning
for number in range(300):
    speak("line %d of a log that has no room %s", number, "z" * 900)
print("still here", names())
"""
MOUNTED = 'mount -t tmpfs -o size=64k,nr_inodes=64 none "$1" && exec "$2" -c "$3" "$1" "$4"'


def names(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(entry.name for entry in folder.iterdir())


def has_user_attributes(path: Path) -> bool:
    """Whether this file system keeps them."""
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        return False
    return True


@pytest.fixture
def attributed(tmp_path: Path) -> Path:
    """A file with an extended attribute, on a file system that has them."""
    for folder in (tmp_path, Path("/dev/shm")):
        path = Path(tempfile.mkdtemp(dir=folder)) / "file"
        path.write_bytes(b"old")
        if has_user_attributes(path):
            return path
    raise AssertionError("neither the temporary folder nor /dev/shm has user attributes")


def test_rewrite_keeps_the_attributes_of_the_file(attributed: Path) -> None:
    """An access list is an attribute; losing it would change who may read."""
    files.rewrite(attributed, "new")
    assert attributed.read_bytes() == b"new"
    assert os.getxattr(attributed, "user.note") == b"kept"


def test_write_makes_a_new_file_without_the_attributes_of_the_old(attributed: Path) -> None:
    """All about it is said by whoever writes it."""
    files.write(attributed, "new")
    assert "user.note" not in os.listxattr(attributed)


@pytest.mark.root
def test_selinux_label_of_a_replaced_file_stays(attributed: Path) -> None:
    """/etc/shadow with the label of /etc would let nobody in."""
    label = b"system_u:object_r:shadow_t:s0\0"
    os.setxattr(attributed, files.LABEL, label)
    files.write(attributed, "new")
    assert os.getxattr(attributed, files.LABEL) == label
    files.rewrite(attributed, "newer")
    assert os.getxattr(attributed, files.LABEL) == label


def test_rewrite_keeps_a_link_and_replaces_what_it_points_to(tmp_path: Path) -> None:
    """sshd_config may be a link into a store."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "middle").symlink_to("real")
    (tmp_path / "link").symlink_to(tmp_path / "middle")
    files.rewrite(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert names(tmp_path) == ["link", "middle", "real"]


def test_file_with_the_longest_name_can_be_written(tmp_path: Path) -> None:
    """The temporary name beside it is shorter."""
    path = tmp_path / ("n" * 255)
    files.write(path, "x")
    files.write(path, "y")
    assert names(tmp_path) == [path.name]
    wide = tmp_path / ("\u00fc" * 127)
    files.write(wide, "z")
    assert wide.read_bytes() == b"z"


def test_read_of_a_pipe_that_nobody_writes_to_is_an_error_and_no_wait(tmp_path: Path) -> None:
    """An extension can put one where its status should be."""
    os.mkfifo(tmp_path / "status")
    with pytest.raises(GuestError, match="it is no plain file"):
        files.read(tmp_path / "status")
    assert files.read_if_there(tmp_path / "status") is None


def test_read_of_a_socket_or_a_folder_is_an_error(tmp_path: Path) -> None:
    """Neither holds text."""
    with socket.socket(socket.AF_UNIX) as channel, tempfile.TemporaryDirectory() as short:
        channel.bind(f"{short}/s")
        with pytest.raises(OSError, match="No such device"):
            files.read(Path(short, "s"))
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path)
    assert files.read_if_there(tmp_path) is None


def test_masked_file_reads_as_an_empty_one(tmp_path: Path) -> None:
    """Administrators link to /dev/null what should have no effect."""
    (tmp_path / "conf").symlink_to("/dev/null")
    assert files.read(tmp_path / "conf") == b""


def test_refused_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    """It is read again each turn."""
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the count alone
    for _ in range(20):
        assert files.read_if_there(tmp_path / "pipe") is None
        assert files.read_if_there(tmp_path) is None
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_file_among_the_parents_of_a_directory_is_named_in_the_error(tmp_path: Path) -> None:
    """It is what has to go."""
    (tmp_path / "var").write_bytes(b"")
    with pytest.raises(GuestError, match=r"cannot make the directory .*; remove it$"):
        files.ensure_directory(tmp_path / "var/lib/waagent")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(GuestError, match=r'link" is a file; remove it$'):
        files.ensure_directory(tmp_path / "link")


@pytest.mark.root
def test_full_disk_leaves_old_files_whole_and_nothing_half(tmp_path: Path) -> None:
    """On a file system of 64 kB in a mount namespace of its own; the log is silent about it."""
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("a/b", os.urandom(200_000))
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = ["sh", "-c", MOUNTED, "sh", str(disk), sys.executable, FULL_DISK, str(package)]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *inside],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *["28"] * 4,
        "b'old' 0o600 ['state.json']",
        "True ['state.json']",
        "still here ['state.json', 'waagent.log']",
    ]
    assert names(disk) == []
