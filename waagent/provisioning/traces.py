"""What cloud-init has left of itself in this boot: whether there is any use in waiting for it.

Only files that it writes are read. Source: cloud-init's own documentation of its run-time files.
"""

from __future__ import annotations

import json
from typing import Any, Optional

from waagent.core import files
from waagent.core.errors import GuestError
from waagent.core.system import System
from waagent.guest import cloudinit

RESULT = "/run/cloud-init/result.json"
STATUS = "/run/cloud-init/status.json"
LARGEST = 1024 * 1024
LONGEST_ERROR = 200


def find_reason_to_give_up(system: System, *, is_enabled: bool) -> Optional[str]:
    """Why cloud-init will not do any more what it has not done yet; ``None`` while it may.

    ``is_enabled`` is what the init system says; a cloud-init that runs all the same counts.
    """
    result = system.path(RESULT)
    if result.exists():
        return _describe_end(_read_json(system, RESULT))
    if cloudinit.has_failed(system):
        return f"cloud-init has failed; see journalctl -u {cloudinit.LAST_UNIT}"
    if system.path(STATUS).exists():
        return None
    switch = cloudinit.find_switch_that_is_off(system)
    if switch is not None:
        return f"cloud-init is disabled by {switch}"
    if not is_enabled:
        return "cloud-init is not enabled and has not run; is Provisioning.Agent right?"
    return None


def _describe_end(result: Any) -> str:
    outcome = result.get("v1") if isinstance(result, dict) else None
    errors = outcome.get("errors") if isinstance(outcome, dict) else None
    if isinstance(errors, list) and errors:
        return f"cloud-init has ended with errors: {str(errors[0])[:LONGEST_ERROR]}"
    datasource = outcome.get("datasource") if isinstance(outcome, dict) else None
    source = f" (datasource {str(datasource)[:LONGEST_ERROR]})" if datasource else ""
    return f"cloud-init has ended without it{source}"


def _read_json(system: System, path: str) -> Any:
    try:
        return json.loads(files.read_text(system.path(path), limit=LARGEST))
    except (OSError, ValueError, GuestError):
        return None
