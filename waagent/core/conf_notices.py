"""What the ext-handler announces about a configuration that differs from the defaults.

Only the texts (spec CLI 2.6); whoever starts the process logs them and sends them as
``ConfigurationChange`` events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from waagent.core.conf import BY_KEY, Conf

_OFF = (
    "OS.EnableFirewall",
    "Extensions.Enabled",
    "AutoUpdate.Enabled",
    "AutoUpdate.UpdateToLatestVersion",
)


def notices_of(conf: Conf) -> tuple[str, ...]:
    """List the texts for this configuration, in the order in which they are announced."""
    return tuple(_notices(conf))


def find_key_conflict(conf: Conf) -> Optional[str]:
    """Say so when the two update keys are both present and disagree, else None."""
    legacy, current = "AutoUpdate.Enabled", "AutoUpdate.UpdateToLatestVersion"
    updates = conf.auto_update
    both = conf.is_present(legacy) and conf.is_present(current)
    if not both or updates.enabled is updates.update_to_latest_version:
        return None
    return (
        f"{legacy} is ignored, because {current} is present and says otherwise;"
        f" remove {legacy} from the configuration"
    )


def _notices(conf: Conf) -> Iterator[str]:
    yield from _changed(conf, "Extensions.GoalStatePeriod")
    yield from _changed(conf, "Extensions.InitialGoalStatePeriod")
    for key in _OFF:
        if conf.value(BY_KEY[key]) is False:
            yield f"{key} is set to False, not processing the operation"
    if conf.os.enable_firewall:
        yield from _changed(conf, "OS.EnableFirewallPeriod")
    if conf.auto_update.enabled:
        yield from _changed(conf, "Autoupdate.Frequency")
    if conf.paths.lib_dir != BY_KEY["Lib.Dir"].option.default:
        yield f"lib dir is in an unexpected location: {conf.paths.lib_dir}"
    if not conf.debug.enable_ga_versioning:
        yield "Debug.EnableGAVersioning is off: the platform cannot choose the agent's version"


def _changed(conf: Conf, key: str) -> Iterator[str]:
    declared = BY_KEY[key]
    value, default = conf.value(declared), declared.option.default
    if value != default:
        # A note may follow the last full stop; we have none, and the blank belongs to the form.
        yield f"{key} changed from its default: {default}. New value: {value}. "
