"""SELinux labels: give a new file its own, keep the one that a replaced file had.

Labels are extended attributes and set on open files: no program is run, and no path is looked up
a second time. Enforcement is never changed.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Optional, Union

from waagent.core import files
from waagent.core.system import System

log = logging.getLogger(__name__)

SSH_HOME = "unconfined_u:object_r:ssh_home_t:s0"
_ATTRIBUTE = "security.selinux"
_NO_LABELS = (errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EINVAL)


def is_enabled(system: System) -> bool:
    """Whether the running kernel labels files."""
    return system.path("/sys/fs/selinux/enforce").exists()


def set_label(system: System, descriptor: int, label: str) -> bool:
    """Label an open file; whether it was. Without SELinux there is nothing to do."""
    if not is_enabled(system):
        return False
    try:
        os.setxattr(descriptor, _ATTRIBUTE, label.encode() + b"\0")
    except OSError as error:
        if error.errno not in _NO_LABELS:
            raise
        log.warning('Cannot set the SELinux label "%s": %s', label, error.strerror)
        return False
    return True


def read_label(path: Union[Path, int]) -> Optional[bytes]:
    """The label of a file as the kernel keeps it."""
    try:
        return os.getxattr(path, _ATTRIBUTE)
    except OSError:
        return None


def rewrite(path: Path, content: Union[bytes, str]) -> None:
    """Replace the content of an existing file atomically, with its mode, owner and label.

    A file that is renamed into place would else have its folder's label: sshd must not read an
    /etc/shadow that is labelled like any file of /etc.
    """
    state = path.stat()
    label = read_label(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    mode, owner = state.st_mode & 0o7777, (state.st_uid, state.st_gid)
    with files.replacing(path, mode=mode, owner=owner) as stream:
        stream.write(data)
        if label is not None:
            try:
                os.setxattr(stream.fileno(), _ATTRIBUTE, label)
            except OSError as error:
                log.warning('Cannot keep the SELinux label of "%s": %s', path, error.strerror)
