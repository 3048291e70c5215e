"""The SSH server's settings: what was asked is what holds, whatever else is included.

The main file is edited as text, checked by sshd, then replaced. Where included files win over it,
as those of cloud images do, our lines move before the first Include: no other file is touched.
Source: spec DAEMON 5.5.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.commands import Result
from waagent.core.errors import CommandTimedOut, GuestError
from waagent.core.system import System
from waagent.guest import selinux
from waagent.guest.sshd_config import (
    Directive,
    parse_effective,
    replace_directive,
    set_before_includes,
    set_directives,
)

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
VENDOR_FILE = "/usr/etc/ssh/sshd_config"
DROP_IN = "sshd_config.d/00-waagent.conf"
_PASSWORDS = ("PasswordAuthentication", "KbdInteractiveAuthentication")
# ChallengeResponseAuthentication by its new and its first name: where several stand, one wins.
_SAME = ("KbdInteractiveAuthentication", "SkeyAuthentication")
_AS_IT_IS = "surrogateescape"  # bytes that are no UTF-8 in others' remarks come back as they were
_NO_FOLDER = re.compile(r"Missing privilege separation directory: (/run/\S+)")
# Read-only disks, files that chattr made immutable, files that are mounted one by one.
_UNCHANGEABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY)


def configure_sshd(
    system: System, *, ssh_dir: str, user: str, allow_password: bool, client_alive_interval: int
) -> bool:
    """Set what the server allows, checked by sshd before it takes effect; whether it changed.

    ``user`` is the account for whom the settings that hold are looked at in the end.
    """
    answer = "yes" if allow_password else "no"
    asked = (
        ("PasswordAuthentication", answer),
        ("ChallengeResponseAuthentication", answer),
        ("ClientAliveInterval", str(client_alive_interval)),
    )
    main = system.path(f"{ssh_dir}/sshd_config")
    server = _Server(system, user, asked)
    try:
        text = files.read(main).decode("utf-8", _AS_IT_IS)
    except FileNotFoundError:
        changed = _configure_by_drop_in(server, ssh_dir)
    else:
        changed = _configure_main(server, main, text)
    log.info(
        "%s SSH password-based authentication methods.",
        "Enabled" if allow_password else "Disabled",
    )
    log.info("Configured SSH client probing to keep connections alive.")
    return changed


class _Server:
    """sshd, asked about settings that it does not use yet."""

    def __init__(self, system: System, user: str, asked: Sequence[Directive]) -> None:
        self.system = system
        self.asked = asked
        person = user if re.fullmatch(r"[^\s,=]+", user) else "nobody"
        # An address that nobody has (RFC 5737): blocks for other places do not count.
        self._visitor = (
            f"user={person},host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22"
        )

    def judge(self, path: Path) -> Optional[Result]:
        """What sshd says of a file of settings; ``None`` where there is no sshd to ask."""
        if not self.system.has_command("sshd"):
            return None
        result = self._run("-t", path)
        missing = _NO_FOLDER.search(result.output)
        if not missing:
            return result
        # systemd makes it when sshd starts; early in a boot nobody has made it yet.
        files.ensure_directory(self.system.path(missing[1]))
        return self._run("-t", path)

    def find_lost(self, path: Path) -> list[Directive]:
        """The directives that would not hold with these settings, under the names sshd has."""
        held = self._effective(path)
        wanted = [*self.asked, ("KbdInteractiveAuthentication", self.asked[1][1])]
        return [(name, value) for name, value in wanted if held.get(name.lower(), value) != value]

    def holds_about_passwords(self, path: Path) -> bool:
        """Whether sshd says of itself that it treats passwords as was asked."""
        held = self._effective(path)
        return all(held.get(name.lower()) == self.asked[0][1] for name in _PASSWORDS)

    def _effective(self, path: Path) -> Mapping[str, str]:
        if not self.system.has_command("sshd"):
            return {}
        result = self._run("-T", path, "-C", self._visitor)
        if not result.ok:
            log.info("sshd cannot tell which settings hold: %s", _line(result.output))
            return {}
        return parse_effective(result.stdout)

    def _run(self, what: str, path: Path, *more: str) -> Result:
        argv = ("sshd", what, "-f", self.system.within(path), *more)
        try:
            return self.system.run(*argv, timeout_s=TIMEOUT_S)
        except CommandTimedOut as error:
            raise GuestError(f"cannot configure sshd: {error}") from error


def _configure_main(server: _Server, main: Path, text: str) -> bool:
    edited = set_directives(text, server.asked)
    for name in _SAME:
        edited = replace_directive(edited, (name, server.asked[1][1]))
    candidate = main.with_name(f"{main.name}.waagent-new")
    try:
        _write_candidate(candidate, edited)
    except OSError as error:
        return _leave_unchangeable(server, main, error)
    try:
        can_check = _refuse_faults(server, candidate, main)
        lost = server.find_lost(candidate) if can_check else []
        if lost:
            edited = _overrule(server, candidate, edited, lost)
    finally:
        files.remove(candidate)
    if edited == text:
        return False
    try:
        selinux.rewrite(main, edited.encode("utf-8", _AS_IT_IS))
    except OSError as error:
        return _leave_unchangeable(server, main, error)
    return True


def _overrule(server: _Server, candidate: Path, edited: str, lost: Sequence[Directive]) -> str:
    """The text that wins over the files it includes, or the same text if that does not help."""
    names = ", ".join(name for name, _ in lost)
    stronger = set_before_includes(edited, lost)
    if stronger != edited:
        _write_candidate(candidate, stronger)
        still = server.find_lost(candidate)
        if still != lost:
            log.info("Included files of sshd have other values: %s set before them", names)
            edited, lost = stronger, still
    if lost:
        _tell_lost(lost)
    return edited


def _configure_by_drop_in(server: _Server, ssh_dir: str) -> bool:
    """Where the settings are the vendor's and below /usr, a file beside them has ours."""
    system = server.system
    vendor = system.path(VENDOR_FILE)
    if ssh_dir != "/etc/ssh" or not vendor.is_file():
        raise GuestError(
            f"cannot configure sshd: there is no {ssh_dir}/sshd_config; install an SSH server,"
            " or set OS.SshDir"
        )
    path = system.path(f"{ssh_dir}/{DROP_IN}")
    text = "".join(f"{name} {value}\n" for name, value in server.asked)
    old = files.read_if_there(path)
    if old == text:
        return False
    files.ensure_directory(path.parent)
    files.write(path, text, mode=files.SECRET)
    try:
        _refuse_faults(server, vendor, None)
    except GuestError:
        files.remove(path) if old is None else files.write(path, old, mode=files.SECRET)
        raise
    lost = server.find_lost(vendor)
    if lost:
        _tell_lost(lost)
    return True


def _refuse_faults(server: _Server, candidate: Path, present: Optional[Path]) -> bool:
    """Refuse settings that sshd does not take, unless it did not take the present ones either.

    Whether it could tell: before the host has keys, sshd finds fault with any settings.
    """
    new = server.judge(candidate)
    if new is None:
        return False
    if new.ok:
        return True
    old = server.judge(present) if present is not None else None
    if old is None or old.ok:
        raise GuestError(
            f"cannot configure sshd: it refuses what would be in its settings ({_line(new.output)})"
        )
    log.info("sshd cannot check its settings yet: %s", _line(new.output))
    return False


def _leave_unchangeable(server: _Server, main: Path, error: OSError) -> bool:
    """Settings that nobody can change are fine if they are what was asked."""
    name = server.system.within(main)
    if error.errno in _UNCHANGEABLE and server.holds_about_passwords(main):
        log.warning("Cannot change %s, which allows what is asked: %s", name, error.strerror)
        return False
    raise GuestError(
        f"cannot configure sshd: {name} cannot be changed ({error.strerror}); set it in the"
        " image, or see that its folder can be written to"
    ) from error


def _tell_lost(lost: Sequence[Directive]) -> None:
    for name, value in lost:
        log.warning(
            "sshd will not have %s %s: a Match block or another file has the last word",
            name,
            value,
        )


def _write_candidate(candidate: Path, text: str) -> None:
    files.write(candidate, text.encode("utf-8", _AS_IT_IS), mode=files.SECRET)


def _line(text: str) -> str:
    return " ".join(text.split())
