"""udev rules that pin network names to the hardware of an old machine are moved out of the way.

They are kept in the lib dir, where a person can find them (spec DAEMON 3.2).
"""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import GuestError

log = logging.getLogger(__name__)

LARGEST = 1024 * 1024
RULES = (
    "/lib/udev/rules.d/75-persistent-net-generator.rules",
    "/etc/udev/rules.d/70-persistent-net.rules",
)


def remove_net_rules(context: Context) -> None:
    """Move what there is to the lib dir; a copy that was kept before stays until there is another.

    A link stays: by one to /dev/null an administrator says that there are to be no such rules.
    """
    for rules in RULES:
        source = context.system.entry(rules)
        if _is_file(source):
            kept = context.paths.lib / source.name
            _move(source, kept)
            log.warning("Move rules file %s to %s", source.name, context.system.within(kept))


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _move(source: Path, kept: Path) -> None:
    """By a copy: the lib dir may be another file system. Only once, where /lib is read-only."""
    try:
        rules = files.read(source, limit=LARGEST)
        if not (_is_file(kept) and files.read(kept, limit=LARGEST) == rules):
            files.write(kept, rules)
        source.unlink()
    except OSError as error:
        raise GuestError(f'cannot move "{source}" to "{kept}": {error.strerror}') from error
