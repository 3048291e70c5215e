"""How the boot helper ended, as its exit code says it to the daemon."""

from __future__ import annotations

DONE = 0
NO_FABRIC = 1
TAKEN_OVER = 3
"""Another program sets this machine up; there is nothing for us to do."""
