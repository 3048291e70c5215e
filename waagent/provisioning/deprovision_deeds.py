"""How each step of deprovisioning is done. Each may be done again after a crash at any moment.

Source: spec DAEMON 8.2 to 8.4.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Callable, Optional

from waagent.core import files
from waagent.core.clearing import MOUNTED, Cleared, Left, empty_folder, remove_folder
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError, describe
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.guest import hostname, services, users
from waagent.guest.accounts import find_account
from waagent.guest.packages import find_packaged
from waagent.guest.profile import Profile
from waagent.guest.sudoers import NAME, NAME_OF_CLOUD_INIT, remove_sudoer
from waagent.provisioning.deprovision_guard import refusal
from waagent.provisioning.deprovision_look import (
    entries,
    find_heir,
    find_home,
    host_keys,
    is_folder,
    kept_for_user,
    unfinished_keys,
)
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
    return join(_tell(target, partial(_delete_lease, system, target)) for target in targets)


def _delete_lease(system: System, target: str) -> Cleared:
    is_one = not is_folder(system, target)
    return _remove(entries(system, target)) if is_one else _empty(system, target)


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
    folders = unfinished_keys(scene.context)
    results = [_tell(str(folder), partial(remove_folder, folder)) for folder in folders]
    return join([*results, _remove(host_keys(scene.context))])


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
    """All that is the account's; none of it as long as the account itself stays."""
    system, conf, name = scene.system, scene.context.conf.os, step.targets[0]
    home, why = find_home(scene.context, name)
    _delete_account(scene, name, why)
    results = []
    if why is not None:
        results.append(Cleared(spared=(Left(str(home), why),)))
    elif home.is_dir():
        results.append(_delete_left_home(system, home, name))
    for file in (NAME, NAME_OF_CLOUD_INIT):
        unlist = partial(remove_sudoer, system, name, sudoers_dir=conf.sudoers_dir, file=file)
        results.append(_tell(f"{conf.sudoers_dir}/{file}", partial(_count, unlist)))
    return join([*results, _remove(kept_for_user(scene.context, name))])


def _delete_account(scene: Scene, name: str, obstacle: Optional[str]) -> None:
    """The account with its home. ``userdel`` would empty a disk that is mounted in there."""
    if find_account(scene.system, name) is None:
        return
    if obstacle is not None:
        raise GuestError(
            f"cannot delete the account {name}: {obstacle}; see to that, or delete it by hand"
        )
    ordinary = scene.profile.ordinary_system_users
    if not users.delete_user(scene.system, name, ordinary=ordinary):
        raise GuestError(f"cannot delete the account {name}: userdel did not; see the warning")


def _delete_left_home(system: System, home: Path, name: str) -> Cleared:
    """A home that was left behind: by a crash, or by a userdel that did half of its work."""
    heir = find_heir(system, home, name)
    if heir is not None:
        return Cleared(failed=(Left(str(home), f"{heir}; delete it by hand"),))
    cleared = _tell(str(home), partial(remove_folder, home))
    return Cleared(cleared.removed, failed=(*cleared.failed, *cleared.spared))


def _count(remove: Callable[[], bool]) -> Cleared:
    return Cleared(removed=int(remove()))


def _tell(place: str, work: Callable[[], Cleared]) -> Cleared:
    """One of several: an error is what is left of it, and keeps none of the others."""
    try:
        return work()
    except (AgentError, OSError) as error:
        return Cleared(failed=(Left(place, _reason(error)),))


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


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or describe(error)


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
