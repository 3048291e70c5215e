"""How each step of deprovisioning is done. Each may be done again after a crash at any moment.

Source: spec DAEMON 8.2 to 8.4.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Callable

from waagent.core import files
from waagent.core.clearing import MOUNTED, Cleared, Left, empty_folder, remove_folder
from waagent.core.context import Context
from waagent.core.errors import GuestError, describe
from waagent.core.mounts import mounts_from, read_mounts
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest import hostname, services, users
from waagent.guest.accounts import find_account, parse_passwd_line
from waagent.guest.packages import find_packaged
from waagent.guest.profile import Profile
from waagent.guest.sudoers import NAME, NAME_OF_CLOUD_INIT, remove_sudoer
from waagent.provisioning.deprovision_guard import refusal, refusal_of_home
from waagent.provisioning.deprovision_look import entries, host_keys, is_folder, kept_for_user
from waagent.provisioning.deprovision_plan import HOST_NAME, Deed, Step

OVF_NAME = "ovf-env.xml"
MARKER_NAME = "provisioned"


@dataclass(frozen=True)
class Scene:
    """What every deed may need. ``user_is_left``: an account could not be deleted before."""

    context: Context
    profile: Profile
    user_is_left: bool = False

    @property
    def system(self) -> System:
        """The machine."""
        return self.context.system


def do(scene: Scene, step: Step) -> Cleared:
    """Do the step; what could not be done is in the answer, or an error if that is all of it."""
    return DEEDS[step.deed](scene, step)


def delete_leases(system: System, targets: Iterable[str]) -> Cleared:
    """The leases of every client: folders are emptied, files removed."""
    results = []
    for target in targets:
        if not is_folder(system, target):
            results.append(_remove(entries(system, target)))
            continue
        try:
            results.append(_empty(system, target))
        except GuestError as error:  # the other clients' leases are to go all the same
            results.append(Cleared(failed=(Left(target, str(error)),)))
    return join(results)


def delete_units(system: System, targets: Iterable[str]) -> Cleared:
    """Generated units and settings; what belongs to a package is spared."""
    there = {path: system.within(path) for each in targets for path in entries(system, each)}
    packaged = find_packaged(system, list(there.values()))
    ours = [path for path, name in there.items() if name not in packaged]
    spared = [path for path in there if path not in ours]
    removed = _remove(ours)
    for folder in {path.parent for path in ours if path.parent.name.endswith(".service.d")}:
        if not any(folder.iterdir()):
            folder.rmdir()
    kept = tuple(Left(str(path), "it belongs to a package") for path in spared)
    return join([removed, Cleared(spared=kept)])


def join(results: Iterable[Cleared]) -> Cleared:
    """Several as one."""
    parts = list(results)
    return Cleared(
        sum(part.removed for part in parts),
        tuple(left for part in parts for left in part.spared),
        tuple(left for part in parts for left in part.failed),
    )


def _stop_service(scene: Scene, _step: Step) -> Cleared:
    name = scene.profile.agent_service
    if not services.stop(scene.system, name) and services.is_active(scene.system, name):
        raise GuestError(f"cannot stop the service {name}: it still runs; stop it by hand")
    pid = (files.read_if_there(scene.context.paths.pid_file, limit=4096) or "").strip()
    command = _command_line(scene.system, pid) if pid.isdigit() else []
    if any("waagent" in word for word in command) and any("daemon" in word for word in command):
        raise GuestError(
            f"cannot stop the agent: process {pid} is no service; end it, and deprovision again"
        )
    return Cleared()


def _command_line(system: System, pid: str) -> list[str]:
    text = files.read_if_there(system.path(f"/proc/{pid}/cmdline"), limit=64 * 1024)
    return (text or "").lower().split("\0")


def _delete_host_keys(scene: Scene, _step: Step) -> Cleared:
    return _remove(host_keys(scene.context))


def _delete_leases(scene: Scene, step: Step) -> Cleared:
    return delete_leases(scene.system, step.targets)


def _set_host_name(scene: Scene, _step: Step) -> Cleared:
    hostname.set_hostname(scene.system, scene.profile, HOST_NAME)
    return Cleared()


def _set_dhcp_name(scene: Scene, _step: Step) -> Cleared:
    hostname.configure_dhcp_name(scene.system, HOST_NAME)
    return Cleared()


def _lock_root(scene: Scene, _step: Step) -> Cleared:
    users.lock_root_password(scene.system, shadow_path=scene.context.conf.os.password_path)
    return Cleared()


def _delete_files(scene: Scene, step: Step) -> Cleared:
    return join(_remove(entries(scene.system, target)) for target in step.targets)


def _delete_units(scene: Scene, step: Step) -> Cleared:
    return delete_units(scene.system, step.targets)


def _empty_pools(scene: Scene, step: Step) -> Cleared:
    """They are not removed: the daemon that keeps them makes them only when it starts."""
    results = []
    for target in step.targets:
        for path in entries(scene.system, target):
            try:
                flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                os.close(os.open(path, flags))
                results.append(Cleared(removed=1))
            except OSError as error:
                results.append(Cleared(failed=(Left(str(path), _reason(error)),)))
    return join(results)


def _empty_folder(scene: Scene, step: Step) -> Cleared:
    return join(_empty(scene.system, target) for target in step.targets)


def _empty_state(scene: Scene, step: Step) -> Cleared:
    """The name of the account goes last, and stays while the account does: another run needs it."""
    keep = (OVF_NAME,) if scene.user_is_left else ()
    last = (MARKER_NAME, OVF_NAME)
    return join(_empty(scene.system, each, last=last, keep=keep) for each in step.targets)


def _delete_user(scene: Scene, step: Step) -> Cleared:
    system, conf, name = scene.system, scene.context.conf.os, step.targets[0]
    _delete_account(scene, name)
    for file in (NAME, NAME_OF_CLOUD_INIT):
        remove_sudoer(system, name, sudoers_dir=conf.sudoers_dir, file=file)
    return _remove(kept_for_user(system, name))


def _delete_account(scene: Scene, name: str) -> None:
    """The account and its home. ``userdel`` would empty a disk that is mounted in there."""
    system = scene.system
    account = find_account(system, name)
    home_name = account.home if account else f"{scene.context.conf.os.home_dir}/{name}"
    home = system.path(home_name)
    why = refusal_of_home(system.within(home), name)
    mounts = mounts_from(read_mounts(), home)
    if account is not None:
        if why is not None and home.exists():
            raise GuestError(
                f"cannot delete the account {name}: its home is {home_name}, and {why}; delete it"
                " by hand"
            )
        if mounts:
            raise GuestError(
                f"cannot delete the account {name}: {mounts[0].point} is {mounts[0]}; unmount it"
            )
        ordinary = scene.profile.ordinary_system_users
        if not users.delete_user(system, name, ordinary=ordinary):
            raise GuestError(f"cannot delete the account {name}: userdel did not; see the warning")
    if why is None and home.is_dir():
        _delete_left_home(system, home, name)


def _delete_left_home(system: System, home: Path, name: str) -> None:
    """A home that was left behind: by a crash, or by a userdel that did half of its work."""
    owner = home.stat().st_uid
    if owner in _uids(system):
        raise GuestError(
            f"cannot delete the home {home}: it is not {name}'s any more, but of the user {owner};"
            " delete it by hand"
        )
    cleared = remove_folder(home)
    left = (*cleared.failed, *cleared.spared)
    if left:
        raise GuestError(f"cannot delete all of {home}: {left[0]}")


def _uids(system: System) -> set[int]:
    text = files.read_if_there(system.path("/etc/passwd")) or ""
    accounts = map(parse_passwd_line, text.splitlines())
    return {account.uid for account in accounts if account is not None}


def _empty(
    system: System, target: str, *, last: tuple[str, ...] = (), keep: tuple[str, ...] = ()
) -> Cleared:
    folder = system.path(target)
    why = refusal(system.within(folder))
    if why is not None:
        raise GuestError(f'cannot empty "{folder}": {why}')
    return empty_folder(folder, last=last, keep=keep)


def _remove(paths: Iterable[Path]) -> Cleared:
    removed, spared, failed = 0, [], []
    for path in paths:
        try:
            removed += files.remove(path)
        except OSError as error:
            if error.errno == errno.EBUSY:
                spared.append(Left(str(path), MOUNTED))
            else:
                failed.append(Left(str(path), _reason(error)))
    return Cleared(removed, tuple(spared), tuple(failed))


def _reason(error: OSError) -> str:
    return error.strerror or describe(error)


DEEDS: Mapping[Deed, Callable[[Scene, Step], Cleared]] = {
    Deed.STOP_SERVICE: _stop_service,
    Deed.DELETE_HOST_KEYS: _delete_host_keys,
    Deed.DELETE_LEASES: _delete_leases,
    Deed.SET_HOST_NAME: _set_host_name,
    Deed.SET_DHCP_NAME: _set_dhcp_name,
    Deed.LOCK_ROOT: _lock_root,
    Deed.DELETE_FILES: _delete_files,
    Deed.DELETE_USER: _delete_user,
    Deed.EMPTY_POOLS: _empty_pools,
    Deed.DELETE_UNITS: _delete_units,
    Deed.EMPTY_FOLDER: _empty_folder,
    Deed.EMPTY_STATE: _empty_state,
}
