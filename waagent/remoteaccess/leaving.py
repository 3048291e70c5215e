"""Which accounts are just being deleted: a userdel that was cut off leaves half of one.

It takes the line of /etc/passwd away first, and with it what says that the account was ours.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from waagent.core import files
from waagent.core.errors import GuestError, describe
from waagent.core.records import dataclass

log = logging.getLogger(__name__)

LARGEST = 64 * 1024


@dataclass(frozen=True)
class Leaving:
    """The record: name and group number of each; there is no file when there is nobody."""

    path: Path

    def read(self) -> dict[str, int]:
        """Whom a removal that was cut off may have left; nobody where that cannot be read."""
        try:
            document = json.loads(files.read(self.path, limit=LARGEST))
            return {str(name): int(gid) for name, gid in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, GuestError, ValueError, TypeError, AttributeError) as error:
            log.warning("Cannot read %s: %s", self.path, describe(error))
            return {}

    def note(self, name: str, gid: int) -> None:
        """Before its removal. A disk that takes no note is no reason to let somebody stay."""
        self._write({**self.read(), name: gid})

    def forget(self, name: str) -> None:
        """Nothing of it is left."""
        noted = self.read()
        if name in noted:
            self._write({other: gid for other, gid in noted.items() if other != name})

    def _write(self, noted: Mapping[str, int]) -> None:
        try:
            if noted:
                files.write(self.path, json.dumps(noted), mode=files.SECRET)
            else:
                files.remove(self.path)
        except OSError as error:
            log.warning("Cannot write %s: %s", self.path, describe(error))
