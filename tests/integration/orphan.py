"""The child as a process of its own that leaves when its daemon is gone; in a folder.

Its processes are this machine's, so that the next one finds what runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.integration.child import main
from waagent.core.system import System


class FolderWithProcesses(System):
    """A folder that stands for a machine, but its processes are this machine's."""

    def path(self, absolute: str) -> Path:
        """See ``Rooted.path``."""
        is_process = absolute == "/proc" or absolute.startswith("/proc/")
        return Path(absolute) if is_process else super().path(absolute)


if __name__ == "__main__":
    book = json.loads(sys.argv[2])
    sys.exit(main(Path(sys.argv[1]), book, FolderWithProcesses, checks_parent=True))
