"""Folders that are never emptied, whatever the configuration names as the agent's own (pure).

An option that names ``/var`` or a user's home is a mistake; deprovision must not be how that is
found out.
"""

from __future__ import annotations

import posixpath
from typing import Optional

# Nothing at or below these is ever the agent's state, except what is allowed below.
SYSTEM_TREES = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/sbin",
    "/sys",
    "/usr",
)
# These hold other people's things beside ours: themselves, and all above them.
SHARED_FOLDERS = (
    "/media",
    "/mnt",
    "/opt",
    "/run",
    "/srv",
    "/tmp",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/cloud",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/log/journal",
    "/var/run",
    "/var/spool",
    "/var/tmp",
)


def refusal(folder: str) -> Optional[str]:
    """Why a folder (absolute, links resolved) is not to be emptied, or ``None`` if it may be."""
    folder = posixpath.normpath("/" + folder.lstrip("/"))
    for tree in SYSTEM_TREES:
        if _is_within(folder, tree):
            return f"it is in {tree}, where the agent keeps no state"
    for shared in (*SYSTEM_TREES, *SHARED_FOLDERS):
        if _is_within(shared, folder):
            return f"{shared} is in it" if shared != folder else "it belongs to everybody"
    return None


def refusal_of_home(folder: str, name: str) -> Optional[str]:
    """Why a user's home is not to be removed with the account, or ``None``.

    It is one that was made for this user: called so, and not what the system keeps its own in.
    """
    folder = posixpath.normpath("/" + folder.lstrip("/"))
    if posixpath.basename(folder) != name:
        return f"it is not called {name}"
    if _is_within(folder, "/home") and folder != "/home":
        return None
    return refusal(folder)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
