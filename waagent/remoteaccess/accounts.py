"""Just-in-time accounts on this machine: those with our comment, and no others, ever.

Each step can be cut off and taken up again: the password comes last when one is added, the
account goes last when one is removed. Source: spec EXT 11, DAEMON 5.4, 5.10, 8.3.
"""

from __future__ import annotations

import logging
import posixpath
from datetime import date, timedelta
from pathlib import Path
from typing import Optional

from waagent.core.conf import Conf
from waagent.core.errors import AgentError, CommandTimedOut, CryptoError, GuestError, describe
from waagent.core.mounts import mounts_from, read_mounts
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest import processes, users
from waagent.guest.account_locks import change_accounts
from waagent.guest.accounts import (
    Account,
    find_account,
    has_group,
    is_system_account,
    read_local_accounts,
    read_shadow,
)
from waagent.guest.leftovers import remove_leftovers
from waagent.guest.sudoers import ensure_sudoer, remove_sudoer
from waagent.protocol.passwords import Opened
from waagent.remoteaccess.leaving import Leaving
from waagent.remoteaccess.plan import Grant, JitAccount

log = logging.getLogger(__name__)

NO_PASSWORD = ("", "!", "!!", "*")
"""What useradd leaves where the password will be; a password that somebody locked is more."""

_EPOCH = date(1970, 1, 1)
_LAST_NUMBER = (date.max - _EPOCH).days


@dataclass(frozen=True)
class Accounts:
    """The accounts of ours on one machine; its name service and files are asked each time."""

    system: System
    conf: Conf
    leaving: Leaving

    def present(self) -> tuple[JitAccount, ...]:
        """All that carry our comment; raises ``OSError`` where that cannot be known."""
        return tuple(
            _describe_account(self.system, account)
            for account in read_local_accounts(self.system)
            if account.comment == users.JIT_COMMENT
        )

    def finish_removals(self) -> None:
        """What was cut off when an account was deleted, as by a power failure, is done now."""
        for name, gid in self.leaving.read().items():
            if find_account(self.system, name) is None and remove_leftovers(
                self.system, name, gid=gid
            ):
                log.info("Removed what was left of the remote access user %s", name)
            self.leaving.forget(name)

    def add(self, grant: Grant, password: Opened) -> None:
        """Make the account, or finish one that was begun; none is left when that fails."""
        name = grant.user.name
        if isinstance(password, CryptoError):
            self._take_back(name)
            raise password
        if not password:
            self._take_back(name)
            raise GuestError(f"cannot add the remote access user {name}: its password is empty")
        self._take_back_unhoused(name)
        self._refuse_others(name)
        try:
            users.ensure_user(
                self.system,
                name,
                expires=grant.last_day.isoformat(),
                comment=users.JIT_COMMENT,
            )
            self._close_on(name, grant.last_day)
            ensure_sudoer(
                self.system, name, sudoers_dir=self.conf.os.sudoers_dir, needs_password=True
            )
            users.set_password(
                self.system,
                name,
                password,
                crypt_id=self.conf.provisioning.password_crypt_id,
                salt_length=self.conf.provisioning.password_crypt_salt_length,
                allow_system_user=self.conf.provisioning.allow_reset_sys_user,
            )
        except (AgentError, OSError):
            self._take_back(name)
            raise

    def extend(self, grant: Grant) -> None:
        """Have the machine close the account on another day."""
        self._close_on(grant.user.name, grant.last_day)

    def remove(self, name: str) -> None:
        """Remove an account of ours with its processes, its home and its right to sudo."""
        account = self._find_ours(name)
        if account is None:
            return
        if is_system_account(self.system, name):
            raise GuestError(
                f"cannot delete the remote access user {name}: it is a system user; take the"
                f" comment {users.JIT_COMMENT} from it, or delete it by hand"
            )
        remove_sudoer(self.system, name, sudoers_dir=self.conf.os.sudoers_dir)
        obstacle = _find_obstacle(self.system, account)
        self._end_processes(account)
        if obstacle is not None:
            log.warning("The home of %s stays: %s", name, obstacle)
        self.leaving.note(name, account.gid)
        users.delete_user(self.system, name, with_home=obstacle is None)
        if self._find_ours(name) is not None:
            raise GuestError(
                f"cannot delete the remote access user {name}: userdel did not; see the warning"
            )
        self.leaving.forget(name)
        self._end_processes(account)  # of whoever came in meanwhile

    def _find_ours(self, name: str) -> Optional[Account]:
        found = (each for each in read_local_accounts(self.system) if each.name == name)
        account = next(found, None)
        return account if account and account.comment == users.JIT_COMMENT else None

    def _refuse_others(self, name: str) -> None:
        """An account, a group or a home that was there before is somebody's: it stays as it is."""
        if self._find_ours(name) is not None:
            return
        why = None
        home = self.system.path(f"{self.conf.os.home_dir}/{name}")
        if find_account(self.system, name) is not None:
            why = "there is an account of that name that is not ours"
        elif has_group(self.system, name):
            why = "there is a group of that name, which would go with the user"
        elif _is_in_use(home):
            why = f"there is {home} already, which would go with the user; move it elsewhere"
        if why is not None:
            raise GuestError(f"cannot add the remote access user {name}: {why}")

    def _take_back_unhoused(self, name: str) -> None:
        """A useradd that was cut off leaves a home that is not the user's: it is run anew."""
        account = self._find_ours(name)
        if account is None:
            return
        home = self.system.path(account.home)
        if not home.is_dir() or home.stat().st_uid != account.uid:
            log.warning("The account of %s was not finished: it is made anew", name)
            self.remove(name)

    def _close_on(self, name: str, day: date) -> None:
        account = self._find_ours(name)
        if account is None:
            raise GuestError(f"cannot find the remote access user {name}: it has vanished")
        if _describe_account(self.system, account).last_day == day:
            return
        try:
            change_accounts(self.system, "usermod", "-e", day.isoformat(), name).check()
        except CommandTimedOut as error:
            raise GuestError(f"cannot set when {name} ends: {error}") from error

    def _take_back(self, name: str) -> None:
        """An account that cannot be finished is no use to anybody; the reason is told above."""
        try:
            self.remove(name)
        except (AgentError, OSError) as error:
            log.warning("Cannot take back the remote access user %s: %s", name, describe(error))

    def _end_processes(self, account: Account) -> None:
        """A session would go on without its user, and as the next one who gets the number."""
        others = [
            each
            for each in read_local_accounts(self.system)
            if each.uid == account.uid and each.name != account.name
        ]
        if others or account.uid == 0:
            return
        ended = processes.end_processes_of(self.system, account.uid)
        if ended:
            log.info("Ended %d processes of %s", ended, account.name)


def _describe_account(system: System, account: Account) -> JitAccount:
    fields = read_shadow(system, account.name)
    end = fields[7] if len(fields) > 7 else ""
    has_end = end.isdigit() and int(end) <= _LAST_NUMBER
    return JitAccount(
        account.name,
        is_whole=len(fields) > 1 and fields[1] not in NO_PASSWORD,
        last_day=_EPOCH + timedelta(days=int(end)) if has_end else None,
    )


def _find_obstacle(system: System, account: Account) -> Optional[str]:
    """Why a home is not deleted: userdel empties whatever it is told, disks mounted there too."""
    home = system.path(account.home)
    place = system.within(home)
    if not home.is_dir():
        return None
    if posixpath.basename(place) != account.name or place.count("/") < 2:
        return f"{place} is no folder of its own"
    mounts = mounts_from(read_mounts(), home)
    if mounts:
        return f"{mounts[0].point} is {mounts[0]}"
    if home.stat().st_uid not in (account.uid, 0):
        return f"it belongs to the user {home.stat().st_uid}"
    for other in read_local_accounts(system):
        if other.name != account.name and _is_within(system.within(system.path(other.home)), place):
            return f"it is the home of {other.name} too"
    return None


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_in_use(home: Path) -> bool:
    try:
        return any(home.iterdir())
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
