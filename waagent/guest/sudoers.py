"""The agent's own sudoers file: one line for each user it made an administrator.

A line is the user's exactly; the file is checked by visudo before it takes effect, since a
broken one locks everybody out of sudo (spec DAEMON 5.4).
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System

log = logging.getLogger(__name__)

MODE = 0o440
NAME = "waagent"
NAME_OF_CLOUD_INIT = "90-cloud-init-users"
BESIDE = (f"{NAME}.broken", f"{NAME}.new", f".{NAME}.*")
"""What visudo refused of our file, and what is left of one that was written when the power went."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ALIAS = re.compile(r"[A-Z][A-Z0-9_]*")
_OURS = re.compile(r'("[^"]+"|\S+) ALL=\(ALL\) (NOPASSWD: )?ALL')
_INCLUDE = re.compile(r'\s*[#@]includedir\s+"?([^"\s]+)"?\s*')
_QUOTABLE = re.compile(r'[^\s"\\%+#!,:=()@-][^\s"\\]*')


def ensure_sudoer(system: System, name: str, *, sudoers_dir: str, needs_password: bool) -> bool:
    """Let a user run everything by sudo; whether the file changed.

    The user has exactly one line afterwards, other users keep theirs, and the mode is 0440.
    """
    line = f"{_word(name)} ALL=(ALL) {'' if needs_password else 'NOPASSWD: '}ALL"
    _ensure_folder(system, sudoers_dir)
    path = system.path(f"{sudoers_dir}/{NAME}")
    lines = _lines(path)
    kept = [other for other in lines if not _is_of(other, name)]
    if line in lines and len(kept) + 1 == len(lines):
        path.chmod(MODE)
        return False
    try:
        _write_checked(system, path, [*kept, line])
    except GuestError:
        ours = [other for other in kept if _OURS.fullmatch(other)]
        if ours == kept:
            raise
        _write_checked(system, path, [*ours, line])
        _keep_aside(path, lines)
    return True


def remove_sudoer(system: System, name: str, *, sudoers_dir: str, file: str = NAME) -> bool:
    """Take a user's lines away, and with them a file that says nothing more; whether there was one.

    ``file`` may be cloud-init's: it has a comment for each user, which goes too.
    """
    path = system.path(f"{sudoers_dir}/{file}")
    lines = _lines(path)
    kept = [x for x in lines if not _is_of(x, name) and x != f"# User rules for {name}"]
    if len(kept) == len(lines):
        return False
    if any(line.strip() and not line.startswith("# ") for line in kept):
        # What is broken already is no worse without the user, who must not keep a line for that.
        _write_checked(system, path, kept, is_needed=_is_fine(system, path))
    else:
        files.remove(path)
    return True


def _word(name: str) -> str:
    """The name as sudoers(5) takes it for a user: quoted where it could mean something else."""
    if _PLAIN.fullmatch(name) and not _ALIAS.fullmatch(name):
        return name
    if not _QUOTABLE.fullmatch(name):
        raise GuestError(f'cannot make "{name}" an administrator: sudo takes no such user name')
    return f'"{name}"'


def _is_of(line: str, name: str) -> bool:
    return line.split(maxsplit=1)[:1] in ([name], [f'"{name}"'])


def _lines(path: Path) -> list[str]:
    try:
        text = files.read_text(path)
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines()]


def _write_checked(system: System, path: Path, lines: list[str], *, is_needed: bool = True) -> None:
    candidate = path.with_name(f"{path.name}.new")  # sudo skips names with a dot
    files.write(candidate, "".join(line + "\n" for line in lines), mode=MODE)
    try:
        if is_needed:
            _check(system, candidate)
        candidate.replace(path)
    except BaseException:
        files.remove(candidate)
        raise


def _check(system: System, candidate: Path) -> None:
    if not system.has_command("visudo"):
        return
    result = system.run("visudo", "-c", "-f", system.within(candidate), timeout_s=30.0)
    if not result.ok:
        raise GuestError(
            "cannot change the sudoers file: visudo refuses what would be in it"
            f" ({' '.join(result.output.split())})"
        )


def _is_fine(system: System, path: Path) -> bool:
    try:
        _check(system, path)
    except GuestError:
        return False
    return True


def _keep_aside(path: Path, lines: list[str]) -> None:
    """What visudo refuses in our file may have locked everybody out; sudo skips such a name."""
    aside = path.with_name(f"{path.name}.broken")
    files.write(aside, "".join(line + "\n" for line in lines), mode=MODE)
    log.warning("Lines of %s that visudo refuses are in %s now", path, aside)


def _ensure_folder(system: System, sudoers_dir: str) -> None:
    """Make the folder if it is missing, and have /etc/sudoers include it."""
    files.ensure_directory(system.path(sudoers_dir), mode=0o750)
    main = system.path(f"{sudoers_dir}/../sudoers")
    text = files.read_if_there(main)
    if text is None or _is_included(text, sudoers_dir):
        return
    log.info("%s does not include %s: it does now", main, sudoers_dir)
    line = f"\n\n#includedir {sudoers_dir}\n"
    files.rewrite(main, files.read(main).rstrip() + line.encode("utf-8"))


def _is_included(text: str, sudoers_dir: str) -> bool:
    """Whether a line of sudoers(5) includes the folder; a relative one is beside the file."""
    wanted = posixpath.normpath(sudoers_dir)
    found = (_INCLUDE.fullmatch(line) for line in text.splitlines())
    beside = posixpath.dirname(wanted)
    return any(m and posixpath.normpath(posixpath.join(beside, m[1])) == wanted for m in found)
