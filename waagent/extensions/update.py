"""From one version to another, up or down: the steps between unpacking and enabling.

The old version's commands get the new settings (spec EXT App. E 3). Source: spec EXT 3.10.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Callable

from waagent.core.events import Op
from waagent.core.version import Version
from waagent.extensions import package
from waagent.extensions.codes import ExtensionError, UpdateFailed, exit_code_of
from waagent.extensions.launch import NOT_RUN
from waagent.extensions.state import Change, HandlerState
from waagent.extensions.work import Step, Work


def steps_to_replace() -> tuple[Step, ...]:
    """Old disable, new update, old uninstall, new install."""
    return (
        Step("disable old", Op.DISABLE, _disable_old),
        Step("carry over", Op.UPDATE, _carry_over),
        Step("update", Op.UPDATE, _update),
        Step("uninstall old", Op.UNINSTALL, _uninstall_old),
        Step("remove old", Op.UPDATE, _remove_old),
        Step("install", Op.INSTALL, _install),
    )


def _disable_old(work: Work) -> None:
    old = work.replaced
    if old.state is not HandlerState.ENABLED:
        return
    for entry in old.enabled_settings():
        name = old.handler.name if entry is None else entry.name
        work.disable_codes[name] = _in_spite_of(work, Op.DISABLE, partial(old.disable, entry))


def _carry_over(work: Work) -> None:
    package.carry_over(work.replaced.home, work.new.home)


def _update(work: Work) -> None:
    """The new version's update command; going down it is the old one's (EXT App. E 2)."""
    old, new = work.replaced, work.new
    is_downgrade = Version(new.home.version) < Version(old.home.version)
    extra = {
        "VERSION": new.home.version,
        "AZURE_GUEST_AGENT_UPDATING_FROM_VERSION": (new if is_downgrade else old).home.version,
        **_disable_variable(work),
    }
    (old if is_downgrade else new).update(work.settings, extra)


def _uninstall_old(work: Work) -> None:
    do = partial(work.replaced.uninstall, work.settings)
    work.uninstall_code = _in_spite_of(work, Op.UNINSTALL, do)


def _remove_old(work: Work) -> None:
    """The new version counts as installed before the old one is gone, unless it has to install.

    A kill between the two would have the install command run that the publisher does not want.
    """
    if not work.new.manifest().updates_with_install:
        work.new.change(Change.UPDATED)
    package.remove(work.replaced.home)


def _install(work: Work) -> None:
    """The new install command, where the publisher wants it."""
    if work.new.manifest().updates_with_install:
        work.new.install(work.settings, work.uninstall_code)


def _in_spite_of(work: Work, op: Op, do: Callable[[], None]) -> str:
    """Run an old version's command; its exit code if the new version goes on regardless."""
    try:
        do()
    except ExtensionError as error:
        goes_on = work.new.manifest().continues_on_update_failure
        message = f"{error.for_fabric()}; ContinueOnUpdate: {goes_on}"
        work.replaced.voice.complain(op, message)
        if not goes_on:
            raise UpdateFailed(message) from error
        return exit_code_of(error)
    return "0"


def _disable_variable(work: Work) -> dict[str, str]:
    handler, codes = work.new.handler, work.disable_codes
    if not handler.is_multi_config:
        return {"AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODE": codes.get(handler.name, NOT_RUN)}
    listed = [
        {"extensionName": entry.name, "exitCode": codes.get(entry.name, NOT_RUN)}
        for entry in handler.settings
    ]
    name = "AZURE_GUEST_AGENT_DISABLE_CMD_EXIT_CODES_MULTIPLE_EXTENSIONS"
    return {name: json.dumps(listed)}
