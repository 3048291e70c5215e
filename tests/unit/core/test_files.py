"""Files: whole or not there, with mode and owner from the start; bounded reads."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core import files
from waagent.core.errors import GuestError


class Interrupted(Exception):
    """What happens in the middle of a write."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that is already there."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    path.chmod(0o640)
    return path


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(entry.name for entry in folder.iterdir())


@given(content=st.one_of(st.binary(max_size=3000), st.text(max_size=1000)))
def test_write_and_read_give_back_the_same_content(content: object) -> None:
    """Bytes as bytes, text as UTF-8; nothing else lies about."""
    assert isinstance(content, (bytes, str))
    try:
        expected = content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError:
        return  # a lone surrogate has no UTF-8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        files.write(path, content)
        assert files.read(path) == expected
        assert names(path.parent) == ["file"]


@pytest.mark.parametrize("wanted", [0o600, 0o644, 0o400, 0o755, 0o666])
def test_written_file_has_its_mode_whatever_the_umask(tmp_path: Path, wanted: int) -> None:
    """The umask of whoever started us says nothing about our files."""
    before = os.umask(0o077)
    try:
        files.write(tmp_path / "file", "x", mode=wanted)
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == wanted


def test_replacement_has_its_mode_before_anything_is_written(target: Path) -> None:
    """A secret is never readable by others, not for a moment."""
    with files.replacing(target, mode=files.SECRET) as stream:
        assert stat.S_IMODE(os.fstat(stream.fileno()).st_mode) == 0o600
        assert os.fstat(stream.fileno()).st_size == 0
        stream.write(b"secret")
    assert mode(target) == 0o600


@pytest.mark.root
def test_replacement_has_its_owner_before_anything_is_written(target: Path) -> None:
    """An account's key file is the account's."""
    with files.replacing(target, owner=(1234, 4321)) as stream:
        state = os.fstat(stream.fileno())
        assert (state.st_uid, state.st_gid) == (1234, 4321)
        stream.write(b"new")
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


@pytest.mark.root
def test_owner_change_does_not_cost_a_set_id_bit(tmp_path: Path) -> None:
    """chown clears these bits, so the mode comes after it."""
    files.write(tmp_path / "tool", "x", mode=0o4755, owner=(1234, 4321))
    assert mode(tmp_path / "tool") == 0o4755


def test_old_file_is_there_until_the_new_one_is_whole(target: Path) -> None:
    """A reader sees one or the other."""
    with files.replacing(target) as stream:
        stream.write(b"new, half")
        stream.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new, half"


@pytest.mark.parametrize("error", [Interrupted(), KeyboardInterrupt(), OSError(28, "no space")])
def test_failed_write_leaves_the_old_file_and_nothing_else(
    target: Path, error: BaseException
) -> None:
    """Whatever it was that came in between; the error itself is passed on."""
    inode = target.stat().st_ino
    with pytest.raises(type(error)) as caught, files.replacing(target, mode=0o600) as stream:
        stream.write(b"new, half")
        raise error
    assert caught.value is error
    assert (target.read_bytes(), mode(target)) == (b"old", 0o640)
    assert target.stat().st_ino == inode
    assert names(target.parent) == ["state.json"]


def test_failed_write_of_a_new_file_leaves_nothing(tmp_path: Path) -> None:
    """Not there is not there."""
    with pytest.raises(Interrupted), files.replacing(tmp_path / "new") as stream:
        stream.write(b"half")
        raise Interrupted
    assert names(tmp_path) == []


def test_write_over_a_folder_is_an_error_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    """The rename itself can fail too."""
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError, match="irectory"):
        files.write(tmp_path / "name", "x")
    assert names(tmp_path) == ["name"]


def test_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """The stream's own error, from the kernel, when the buffer is written out."""
    target = tmp_path / "state"
    target.write_bytes(b"old")
    with (
        pytest.raises(OSError, match="No space left"),
        files.replacing(target) as stream,
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 - a device, unbuffered
    ):
        os.dup2(full.fileno(), stream.fileno())
        stream.write(b"new")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["state"]


def test_write_into_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Folders are made on purpose, with a mode of their own."""
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "missing" / "file", "x")


def test_write_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    """Links are followed by the door alone: a planted one must not lead us elsewhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(victim)
    files.write(link, "ours")
    assert victim.read_bytes() == b"precious"
    assert not link.is_symlink()
    assert link.read_bytes() == b"ours"


def test_written_file_is_a_new_one_for_whoever_has_the_old_one_open(target: Path) -> None:
    """A hard link or an open descriptor keeps the old content."""
    other = target.parent / "other"
    os.link(target, other)
    files.write(target, "new")
    assert other.read_bytes() == b"old"


def test_rewrite_keeps_the_mode_of_the_file(target: Path) -> None:
    """sshd_config stays as the distribution made it."""
    files.rewrite(target, "new")
    assert (target.read_bytes(), mode(target)) == (b"new", 0o640)


@pytest.mark.root
def test_rewrite_keeps_the_owner_of_the_file(target: Path) -> None:
    """Also where that is not root."""
    os.chown(target, 1234, 4321)
    files.rewrite(target, "new")
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


def test_rewrite_of_a_missing_file_is_an_error_and_makes_none(tmp_path: Path) -> None:
    """It has no mode to keep."""
    with pytest.raises(FileNotFoundError):
        files.rewrite(tmp_path / "missing", "x")
    assert names(tmp_path) == []


def test_rewrite_keeps_a_link_and_the_attributes_of_what_it_points_to(target: Path) -> None:
    """What an administrator has linked or labelled stays so."""
    link = target.parent / "link"
    link.symlink_to("state.json")
    try:
        os.setxattr(target, "user.note", b"kept")
        attributes = {"user.note": b"kept"}
    except OSError:  # a file system without any
        attributes = {}
    files.rewrite(link, "new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert {name: os.getxattr(target, name) for name in attributes} == attributes


@pytest.mark.parametrize("wanted", [0o700, 0o755, 0o750])
def test_directory_is_made_with_its_mode_and_its_parents(tmp_path: Path, wanted: int) -> None:
    """Only the last one gets the mode."""
    path = tmp_path / "a" / "b"
    assert files.ensure_directory(path, mode=wanted)
    assert mode(path) == wanted
    assert not files.ensure_directory(path, mode=0o711)
    assert mode(path) == wanted


@pytest.mark.root
def test_directory_is_made_with_its_owner(tmp_path: Path) -> None:
    """The .ssh folder of an account."""
    files.ensure_directory(tmp_path / "a", mode=0o700, owner=(1234, 4321))
    state = (tmp_path / "a").stat()
    assert (state.st_uid, state.st_gid) == (1234, 4321)


def test_file_where_a_directory_belongs_is_an_error_that_names_the_remedy(target: Path) -> None:
    """It is not ours to remove."""
    for path in (target, target / "below", target / "far" / "below"):
        with pytest.raises(GuestError, match=r'directory .*state.json.*" is a file; remove it$'):
            files.ensure_directory(path)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(("size", "limit"), [(10, 10), (0, 0), (70_000, 70_000)])
def test_read_takes_a_file_up_to_the_limit(tmp_path: Path, size: int, limit: int) -> None:
    """The limit itself is allowed."""
    (tmp_path / "file").write_bytes(b"x" * size)
    assert len(files.read(tmp_path / "file", limit=limit)) == size


@pytest.mark.parametrize(("size", "limit"), [(11, 10), (1, 0), (200_000, 70_000)])
def test_read_over_the_limit_is_an_error(tmp_path: Path, size: int, limit: int) -> None:
    """The file and the limit are named."""
    (tmp_path / "file").write_bytes(b"x" * size)
    with pytest.raises(GuestError, match=f'file": it is larger than {limit} bytes$'):
        files.read(tmp_path / "file", limit=limit)


def test_read_of_a_file_without_end_stops_at_the_limit() -> None:
    """Its size says nothing: a device, or a file that grows."""
    with pytest.raises(GuestError, match="larger than 100000 bytes"):
        files.read(Path("/dev/zero"), limit=100_000)


def test_read_of_a_pipe_is_refused_and_does_not_wait(tmp_path: Path) -> None:
    """Whoever may write to a folder could hold us up for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GuestError, match=r'^cannot read ".*pipe": it is no plain file$'):
        files.read(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path)


def test_name_as_long_as_a_name_can_be_is_written(tmp_path: Path) -> None:
    """The temporary file's name is not longer still."""
    files.write(tmp_path / ("n" * 255), "x")
    assert names(tmp_path) == ["n" * 255]


def test_read_knows_the_kernels_files_that_say_they_are_empty() -> None:
    """Everything below /proc has the size 0."""
    assert files.read_text(Path("/proc/self/status")).startswith("Name:")


def test_text_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    """Files of others are read as far as they can be."""
    (tmp_path / "file").write_bytes(b"a\xffb")
    assert files.read_text(tmp_path / "file") == "a\\xffb"


@pytest.mark.parametrize(("name", "expected"), [("there", "x"), ("missing", None), (".", None)])
def test_file_that_cannot_be_read_is_as_good_as_none(
    tmp_path: Path, name: str, expected: Optional[str]
) -> None:
    """For what may be there."""
    (tmp_path / "there").write_bytes(b"x")
    assert files.read_if_there(tmp_path / name) == expected


def test_file_over_the_limit_is_as_good_as_none(target: Path) -> None:
    """Whoever asks so has a fall-back."""
    assert files.read_if_there(target, limit=2) is None


def test_remove_says_whether_there_was_anything(target: Path) -> None:
    """And takes a link for itself."""
    link = target.parent / "link"
    link.symlink_to(target)
    assert files.remove(link)
    assert target.exists()
    assert files.remove(target)
    assert not files.remove(target)


def test_content_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    """Each write waits for the disk; the file stays the one that it was."""
    path = tmp_path / "state"
    assert files.ensure_content(path, "Enabled", mode=0o600)
    before = path.stat()
    assert not files.ensure_content(path, b"Enabled", mode=0o600)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "was", ["", "Enable", "Enabled\n", "Enabler", "link", "folder link", "pipe"]
)
def test_content_is_written_where_anything_else_is(tmp_path: Path, was: str) -> None:
    """A crash may leave a file empty; somebody may have put a link there, or a pipe."""
    path, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    elsewhere.write_text("Enabled")
    if was == "pipe":
        os.mkfifo(path)
    elif "link" in was:
        path.symlink_to(tmp_path if "folder" in was else elsewhere)
    else:
        path.write_text(was)
    assert files.ensure_content(path, "Enabled")
    assert (path.is_symlink(), path.read_text(), mode(path)) == (False, "Enabled", 0o644)
    assert elsewhere.read_text() == "Enabled"


def test_content_with_another_mode_is_written_anew(tmp_path: Path) -> None:
    """What an older agent left readable for all is so no longer."""
    path = tmp_path / "0.settings"
    path.write_text("secret")
    path.chmod(0o644)
    assert files.ensure_content(path, "secret", mode=files.SECRET)
    assert mode(path) == 0o600


def test_file_that_need_not_last_is_whole_all_the_same(tmp_path: Path) -> None:
    """Only the disk is not waited for."""
    path = tmp_path / "note"
    with pytest.raises(Interrupted), files.replacing(path, lasting=False) as stream:
        stream.write(b"half")
        raise Interrupted
    assert names(tmp_path) == []
    files.write(path, "whole", mode=files.SECRET, lasting=False)
    assert (path.read_text(), mode(path), names(tmp_path)) == ("whole", 0o600, ["note"])


def test_folder_in_a_files_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    """As for any write."""
    (tmp_path / "state").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(IsADirectoryError, match="state"):
        files.ensure_content(tmp_path / "state", "Enabled")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
