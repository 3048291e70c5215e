"""Each request on a handler as a list of steps.

What a command does to states and files is in ``operate.py``, replacing a version in
``update.py``. After a kill at any point the next run comes by the same decision to the steps that
are left. Source: spec EXT 3.6 and 3.10.
"""

from __future__ import annotations

import enum
from typing import Optional

from waagent.core.events import Op
from waagent.core.version import Version
from waagent.extensions import package, settings
from waagent.extensions.codes import ExtensionError
from waagent.extensions.home import homes_on_disk
from waagent.extensions.state import PRESENT, Change, HandlerState, read_state
from waagent.extensions.update import steps_to_replace
from waagent.extensions.work import Step, Work
from waagent.protocol.documents.handlers import RequestedState


class Way(enum.Enum):
    """How an enabled handler is reached from what is on the disk."""

    INSTALL = "install"
    UPDATE = "update"
    REUSE = "reuse"


def choose_way(state: HandlerState, wanted: str, installed: Optional[str]) -> Way:
    """The way to the wanted version, whose state this is (pure; spec EXT 3.6)."""
    if state in (HandlerState.INSTALLED, HandlerState.ENABLED):
        return Way.REUSE
    if installed is None or Version(installed) == Version(wanted):
        return Way.INSTALL
    return Way.UPDATE


def steps_to_enable(way: Way) -> tuple[Step, ...]:
    """Bring the wanted version here if need be, then enable it."""
    enable = Step("enable", Op.ENABLE, _enable)
    configure = Step("write settings", None, _write_settings)
    if way is Way.REUSE:
        sweep = Step("remove replaced", None, _remove_replaced)
        return Step("check", None, _check), sweep, configure, enable
    unpack = Step("unpack", Op.DOWNLOAD, _unpack)
    if way is Way.INSTALL:
        return unpack, configure, Step("install", Op.INSTALL, _install), enable
    return (unpack, configure, *steps_to_replace(), enable)


def steps_to_disable() -> tuple[Step, ...]:
    """Disable what is enabled."""
    return (Step("disable", Op.DISABLE, _disable),)


def steps_to_uninstall(state: HandlerState) -> tuple[Step, ...]:
    """Disable, uninstall and remove; of what was never installed only remove the files."""
    remove = Step("remove", Op.UNINSTALL, _remove)
    if state is HandlerState.NOT_INSTALLED:
        return (remove,)
    uninstall = Step("uninstall", Op.UNINSTALL, _uninstall)
    if state is HandlerState.ENABLED:
        return Step("disable", Op.DISABLE, _disable_all), uninstall, remove
    return uninstall, remove


def _unpack(work: Work) -> None:
    """Get the package into place and make it a handler's home."""
    home, voice = work.new.home, work.new.voice
    if work.package is None:
        raise ExtensionError(f"cannot install {home.full_name}: its manifest has no package")
    work.new.change(Change.UNPACKING)
    clock = work.tools.context.system.clock
    start = clock.monotonic()
    with work.tools.context.doing(f"download and unpack {home.full_name}"):
        is_new = package.fetch(work.tools.downloads, home, work.package)
    if is_new:
        took_ms = int((clock.monotonic() - start) * 1000)
        voice.report(Op.DOWNLOAD, "Download succeeded", duration_ms=took_ms)
    manifest = package.initialise(home, work.new.handler)
    for note in manifest.notes:
        voice.complain(Op.EXTENSION_HANDLER_MANIFEST, note)


def _check(work: Work) -> None:
    """An installed handler must still be what the goal state takes it for."""
    package.check_multi_config(work.new.handler, work.new.manifest())


def _remove_replaced(work: Work) -> None:
    """The version before, where a kill came between the end of an update and its removal."""
    home = work.new.home
    for other in list(homes_on_disk(work.tools.context.paths, home.name)):
        if other.folder != home.folder and read_state(other) in PRESENT:
            work.new.voice.info("Remove %s, which was replaced", other.folder)
            package.remove(other)


def _write_settings(work: Work) -> None:
    settings.write_settings(work.new.home, work.new.handler, work.settings)


def _install(work: Work) -> None:
    work.new.install(work.settings, work.uninstall_code)


def _enable(work: Work) -> None:
    """Enable, or disable one extension that is no longer wanted, whatever comes of it."""
    entry = work.settings
    if entry is None or entry.state is RequestedState.ENABLED:
        work.new.enable(entry, work.uninstall_code)
    elif work.is_enabled(entry):
        try:
            work.new.disable(entry)
        except ExtensionError as error:
            work.new.voice.complain(Op.DISABLE, error.for_fabric())
    else:
        work.new.settle(entry)  # a kill may have come before its files were gone


def _disable(work: Work) -> None:
    """Disable what this item names, if it is enabled."""
    if work.new.state is not HandlerState.ENABLED:
        return
    if work.settings is None or work.is_enabled(work.settings):
        work.new.disable(work.settings)
    else:
        work.new.settle()


def _disable_all(work: Work) -> None:
    for entry in work.new.enabled_settings():
        work.new.disable(entry)


def _uninstall(work: Work) -> None:
    """A failure is told and does not keep the handler here."""
    try:
        work.new.uninstall(work.settings)
    except ExtensionError as error:
        work.new.voice.complain(Op.UNINSTALL, error.for_fabric())


def _remove(work: Work) -> None:
    """That it is no longer reported tells the fabric that it is gone."""
    package.remove(work.new.home)
    work.new.voice.info("Removed %s", work.new.home.folder)
