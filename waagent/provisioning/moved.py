"""What an image that was captured without deprovision still knows of the machine before.

Accounts, keys and the host name stay: the owner may have meant to keep them. What the fabric said
to the old machine goes. Source: spec DAEMON 8.4.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from waagent.core import files
from waagent.core.clearing import Cleared
from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.guest.profile import Profile
from waagent.guest.profiles import network_unit_dir
from waagent.provisioning.deprovision_deeds import delete_leases, delete_units
from waagent.provisioning.deprovision_plan import Seen, plan_generated, plan_leases

log = logging.getLogger(__name__)

STATE = (
    "HostingEnvironmentConfig.xml",
    "Incarnation",
    "partition",
    "Protocol",
    "SharedConfig.xml",
    "WireServerEndpoint",
    "published_hostname",
    "fast_track.json",
    "initial_goal_state",
    "waagent_rsm_update",
    "waagent_initial_update",
    "Extensions.*.xml",
    "ExtensionsConfig.*.xml",
    "GoalState.*.xml",
)
# In each handler's folder; its HandlerState stays, it is installed still.
OF_HANDLER = (("status", "*.status"), ("config", "*.settings"), ("config", "HandlerStatus"))
SEQUENCE = "mrseq"


def clean_up_after_move(context: Context, profile: Profile) -> None:
    """Remove it; what cannot be removed is logged, since the machine has to start all the same."""
    system, conf = context.system, context.conf
    seen = Seen(profile.agent_service, profile.unit_dir, network_unit_dir(system, profile))
    leases = plan_leases()
    log.warning("%s", leases.warning)
    _tell(delete_leases(system, leases.targets))
    for path in _state_files(context):
        try:
            files.remove(path)
        except OSError as error:
            log.warning('Cannot remove "%s": %s', path, describe(error))
    for step in plan_generated(conf, seen):
        try:
            _tell(delete_units(system, step.targets))
        except (AgentError, OSError) as error:
            log.warning("Cannot %s: %s", step.what, describe(error))


def _state_files(context: Context) -> Iterator[Path]:
    """Files and links of those names; no link to a folder is followed."""
    paths = context.paths
    for pattern in STATE:
        yield from _plain(paths.lib, pattern)
    for _, _, folder in paths.handler_folders():
        if folder.is_symlink():
            continue
        for part, pattern in OF_HANDLER:
            if not (folder / part).is_symlink():
                yield from _plain(folder / part, pattern)
        yield from _plain(folder, SEQUENCE)


def _plain(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        found = sorted(folder.glob(pattern))
    except OSError:
        return
    for path in found:
        if path.is_symlink() or not path.is_dir():
            yield path


def _tell(cleared: Cleared) -> None:
    for left in (*cleared.spared, *cleared.failed):
        log.warning("Cannot remove %s", left)
