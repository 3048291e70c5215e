"""The agent's own sudoers file: one line for each user it made an administrator.

A line is the user's exactly; the file is checked by visudo before it takes effect, since a
broken one locks everybody out of sudo (spec DAEMON 5.4).
"""

from __future__ import annotations

import re
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System

MODE = 0o440
NAME = "waagent"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ALIAS = re.compile(r"[A-Z][A-Z0-9_]*")
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
    _write_checked(system, path, [*kept, line])
    return True


def remove_sudoer(system: System, name: str, *, sudoers_dir: str) -> bool:
    """Take a user's line away, and an empty file with it; whether there was one."""
    path = system.path(f"{sudoers_dir}/{NAME}")
    lines = _lines(path)
    kept = [line for line in lines if not _is_of(line, name)]
    if len(kept) == len(lines):
        return False
    if any(line.strip() for line in kept):
        _write_checked(system, path, kept)
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


def _write_checked(system: System, path: Path, lines: list[str]) -> None:
    candidate = path.with_name(f"{path.name}.new")  # sudo skips names with a dot
    files.write(candidate, "".join(line + "\n" for line in lines), mode=MODE)
    try:
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


def _ensure_folder(system: System, sudoers_dir: str) -> None:
    """Make the folder if it is missing, and have /etc/sudoers include it then."""
    if not files.ensure_directory(system.path(sudoers_dir), mode=0o750):
        return
    main = system.path(f"{sudoers_dir}/../sudoers")
    text = files.read_if_there(main)
    if text is not None and not re.search(
        rf"^[#@]includedir\s+{re.escape(sudoers_dir)}\s*$", text, re.MULTILINE
    ):
        files.rewrite(main, f"{text.rstrip()}\n\n#includedir {sudoers_dir}\n")
