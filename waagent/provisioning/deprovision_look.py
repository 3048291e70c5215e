"""What deprovisioning finds on this machine; nothing is changed here."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError
from waagent.core.mounts import mounts_from, read_mounts
from waagent.core.system import System
from waagent.guest.accounts import find_account, has_account_with, is_system_account
from waagent.guest.profile import Profile
from waagent.guest.profiles import network_unit_dir
from waagent.guest.ssh import HOST_KEY_TYPES, find_unfinished
from waagent.guest.sudoers import BESIDE
from waagent.provisioning.deprovision_guard import refusal, refusal_of_home
from waagent.provisioning.deprovision_plan import RESOLV_CONF, Deed, Seen, Step

log = logging.getLogger(__name__)

KEPT_FOR_USERS = (
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
    "/var/lib/AccountsService/users",
    "/var/lib/sudo/lectured",
    "/var/lib/systemd/linger",
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
CLOUD_INIT_STATE = "/var/lib/cloud/instances"
FOLDER_DEEDS = frozenset({Deed.DELETE_LEASES, Deed.EMPTY_FOLDER, Deed.EMPTY_STATE})
# ssh-keygen's, and what is left of one that was written when the power went
_KEY_NAME = re.compile(
    rf"ssh_host_({'|'.join(HOST_KEY_TYPES)})_key(\.pub)?"
    rf"|\.ssh_host_({'|'.join(HOST_KEY_TYPES)})_key(\.pub)?\.[0-9a-f]{{12}}"
)


def look(context: Context, profile: Profile) -> Seen:
    """What the plan has to know of this machine."""
    system = context.system
    user = find_user(context)
    resolv_conf = RESOLV_CONF
    with contextlib.suppress(OSError):  # a link to itself is deleted as any other
        resolv_conf = system.within(system.path(RESOLV_CONF))
    return Seen(
        service=profile.agent_service,
        unit_dir=profile.unit_dir,
        network_unit_dir=network_unit_dir(system, profile),
        resolv_conf=resolv_conf,
        user=user,
        is_system_user=user is not None
        and is_system_account(system, user, ordinary=profile.ordinary_system_users),
        cloud_init=system.path(CLOUD_INIT_STATE).is_dir(),
    )


def find_user(context: Context) -> Optional[str]:
    """The account that the saved provisioning document names; ``None`` if it cannot be told."""
    from waagent.protocol.documents.ovf import parse_ovf_env

    try:
        return parse_ovf_env(files.read(context.paths.ovf_env)).user_name
    except FileNotFoundError:
        return None
    except (AgentError, OSError) as error:
        log.info("Cannot read the user's name from %s: %s", context.paths.ovf_env, error)
        return None


def find_targets(context: Context, step: Step) -> list[str]:
    """What the step would remove as far as it is there, for people to read."""
    system = context.system
    if step.deed is Deed.DELETE_HOST_KEYS:
        return [_described(path) for path in (*host_keys(context), *unfinished_keys(context))]
    if step.deed is Deed.DELETE_USER:
        return [_described(path) for path in _of_user(context, step.targets[0])]
    found = []
    for target in step.targets:
        if step.deed in FOLDER_DEEDS and is_folder(system, target):
            found += [_described(path) for path in _content(system.path(target))]
        else:
            found += [str(path) for path in entries(system, target)]
    return found


def find_obstacles(context: Context, step: Step) -> list[str]:
    """What the step will have to leave alone, and why, as far as that can be seen before."""
    if step.deed is Deed.DELETE_USER:
        home, why = find_home(context, step.targets[0])
        return [] if why is None else [f"{home}: {why}"]
    if step.deed not in FOLDER_DEEDS:
        return []
    found = []
    for target in step.targets:
        if not is_folder(context.system, target):
            continue
        folder = context.system.path(target)
        why = refusal(context.system.within(folder))
        if why is not None:
            found.append(f"{folder}: {why}")
        found += [f"{each.point}: {each}" for each in mounts_from(read_mounts(), folder)]
    return found


def host_keys(context: Context) -> Iterator[Path]:
    """The host's keys by their exact names: certificates and backups are not ours."""
    folder = context.system.path(context.conf.os.ssh_dir)
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if _KEY_NAME.fullmatch(name):
            yield folder / name


def unfinished_keys(context: Context) -> list[Path]:
    """Folders with keys that were never the host's: whoever made them was killed."""
    return find_unfinished(context.system, ssh_dir=context.conf.os.ssh_dir)


def find_home(context: Context, name: str) -> tuple[Path, Optional[str]]:
    """The home of an account, or what was left of one, and what keeps it from being deleted."""
    system = context.system
    account = find_account(system, name)
    home = system.path(account.home if account else f"{context.conf.os.home_dir}/{name}")
    if not home.exists():
        return home, None
    why = refusal_of_home(system.within(home), name)
    mounts = mounts_from(read_mounts(), home) if account is not None else ()
    if why is None and mounts:
        why = f"{mounts[0].point} is {mounts[0]}"
    if why is None:
        why = find_heir(system, home, name)
    return home, why


def find_heir(system: System, home: Path, name: str) -> Optional[str]:
    """Whose a home is that is not the account's, or was left when that went."""
    owner, account = home.stat().st_uid, find_account(system, name)
    if account is not None and owner in (0, account.uid):
        return None
    if owner == 0 or has_account_with(system, owner):
        return f"it is not {name}'s, but of the user {owner}"
    return None


def kept_for_user(context: Context, name: str) -> list[Path]:
    """What goes with an account: what other programs keep under its name, and beside sudoers."""
    system = context.system
    places = [f"{context.conf.os.sudoers_dir}/{beside}" for beside in BESIDE]
    if _PLAIN_NAME.fullmatch(name):
        places += [f"{place}/{name}" for place in KEPT_FOR_USERS]
    return [path for place in places for path in entries(system, place)]


def entries(system: System, target: str) -> list[Path]:
    """Files and links by that name, or by that pattern in the last part of it; no folder."""
    folder, _, name = target.rpartition("/")
    try:
        place = system.path(folder)
        if "*" in name:
            found = sorted(place.glob(name))
        else:
            found = [place / name]
    except OSError:
        return []
    return [path for path in found if path.is_symlink() or (path.exists() and not path.is_dir())]


def is_folder(system: System, target: str) -> bool:
    """Whether a target is a folder that is to be emptied, and no file or pattern."""
    with contextlib.suppress(OSError):  # links that lead in a circle
        return "*" not in target and system.path(target).is_dir()
    return False


def _of_user(context: Context, name: str) -> list[Path]:
    home, why = find_home(context, name)
    found = [home] if why is None and home.is_dir() else []
    return found + kept_for_user(context, name)


def _content(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _described(path: Path) -> str:
    if path.is_symlink():
        return f"{path} (the link; not {path.readlink()})"
    return f"{path}/" if path.is_dir() else str(path)
