"""Keys and certificates that no goal state lists any more: they go, once nobody names them.

What else on the machine may use one (a web server, by its file name) has a day to change, counted
from when it was seen to be listed no more; a start of the agent counts anew.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import describe
from waagent.extensions.named_certificates import find_named_certificates
from waagent.protocol.store import Snapshot

log = logging.getLogger(__name__)

KEPT_S = 86400.0
_NAME = re.compile(r"([0-9A-F]{40})\.(?:crt|prv)")


class OldKeys:
    """Remembers since when each certificate on the disk has not been listed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._unlisted_since: dict[str, float] = {}

    def sweep(self, snapshot: Snapshot) -> None:
        """After a goal state was carried out: remove what is due; failures are only told.

        A list that is empty may be one that did not come: then all stay, as they do while the
        settings of some handler cannot be read.
        """
        listed = {each.thumbprint for each in snapshot.certificates}
        if not listed:
            return
        try:
            due = self._find_due(listed)
            if due:
                self._remove(due, snapshot)
        except OSError as error:
            log.warning("Cannot remove old keys: %s", describe(error))

    def _find_due(self, listed: set[str]) -> dict[str, list[Path]]:
        now = self._context.system.clock.monotonic()
        found: dict[str, list[Path]] = {}
        for path in sorted(self._context.paths.lib.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match and match[1] not in listed and path.is_file() and not path.is_symlink():
                found.setdefault(match[1], []).append(path)
        self._unlisted_since = {each: self._unlisted_since.get(each, now) for each in found}
        return {
            thumbprint: paths
            for thumbprint, paths in found.items()
            if now - self._unlisted_since[thumbprint] >= KEPT_S
        }

    def _remove(self, due: dict[str, list[Path]], snapshot: Snapshot) -> None:
        installed = find_named_certificates(self._context.paths)
        if installed is None:
            log.warning("Old keys stay: the settings of some extension cannot be read")
            return
        wanted = {
            (settings.certificate_thumbprint or "").upper()
            for handler in snapshot.extensions.handlers
            for settings in handler.settings
        }
        for thumbprint in due.keys() - installed - wanted:
            for path in due[thumbprint]:
                files.remove(path)
            log.info("Removed the certificate %s, which nothing names any more", thumbprint)
