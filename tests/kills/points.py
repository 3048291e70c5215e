"""Where the child is killed, in words, and which commands its next start runs.

A point is a step (before it is done), a command that runs, or something that the fabric sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from tests.kills.scenarios import (
    DISABLING,
    DOWNGRADE,
    FORGOTTEN,
    INSTALL,
    SEVERAL_DISABLE,
    SEVERAL_INSTALL,
    SEVERAL_OFF,
    SEVERAL_UNINSTALL,
    SEVERAL_UPDATE,
    UNINSTALLING,
    UPDATE,
    UPDATE_ONLY,
    Scenario,
)


@dataclass(frozen=True)
class Before:
    """Before the step with this text; of several such the one with this number, from 1."""

    text: str
    nth: int = 1


@dataclass(frozen=True)
class Within:
    """While this command runs: it goes on, and the next start has to wait for it."""

    call: str


@dataclass(frozen=True)
class Asked:
    """While the fabric is busy with a request; with ``half`` of its answer sent."""

    endpoint: str
    half: bool = False


@dataclass(frozen=True)
class Reported:
    """Once the fabric has the status."""


At = Union[Before, Within, Asked, Reported]


@dataclass(frozen=True)
class Point:
    """One row of the matrix; ``again``: the words of the commands that the next start runs."""

    scenario: Scenario
    name: str
    at: At
    again: str

    @property
    def title(self) -> str:
        """For pytest."""
        return f"{self.scenario.name}: {self.name}"


H, N = "Fabric.Kill-1.0.0", "Fabric.Kill-1.1.0"
INSTALLED, ENABLED = f"{H}/config/HandlerState = Installed", f"{H}/config/HandlerState = Enabled"
COMMAND = "config/HandlerCommand"
FRESH, UPDATED = "install enable", "update uninstall install enable"
ALL = "disable " + UPDATED


def _install() -> tuple[Point, ...]:
    """Everything up to the status of a new handler."""
    rows: tuple[tuple[str, At, str], ...] = (
        ("manifest about to be kept", Before("rename ~Fabric.Kill.2.manifest.xml"), FRESH),
        ("folder made", Before(f"write {H}/config/~HandlerState"), FRESH),
        ("state begun", Before(f"note {H}/config/HandlerState = NotInstalled"), FRESH),
        ("package asked for", Asked("storage.packages"), FRESH),
        ("package downloaded half", Asked("storage.packages", half=True), FRESH),
        ("package downloaded", Before(f"mkdir ..{H}.unpacked~"), FRESH),
        ("half unpacked", Before(f"write ..{H}.unpacked~/new/bin/filling"), FRESH),
        ("unpacked beside", Before(f"rename ..{H}.unpacked~/new"), FRESH),
        ("half moved into place", Before(f"rename .{H}.unpacked/bin"), FRESH),
        ("moved into place", Before(f"rmdir .{H}.unpacked"), FRESH),
        ("environment about to be written", Before(f"write {H}/~HandlerEnvironment.json"), FRESH),
        ("settings about to be written", Before(f"write {H}/config/~0.settings"), FRESH),
        ("settings half written", Before(f"rename {H}/config/~0.settings"), FRESH),
        ("install about to run", Before("run handler.sh install"), FRESH),
        ("install started, not on record", Before(f"write {H}/config/~HandlerCommand"), FRESH),
        ("install half on record", Before(f"rename {H}/config/~HandlerCommand"), FRESH),
        ("install runs", Within("install 1.0.0 0"), FRESH),
        ("install has ended", Before(f"remove {H}/{COMMAND}"), FRESH),
        ("installed, not noted", Before(f"note {INSTALLED}"), FRESH),
        ("installed and noted", Before(f"write {H}/config/~HandlerStatus"), "enable"),
        ("enable about to run", Before("run handler.sh enable"), "enable"),
        ("enable runs", Within("enable 1.0.0 0"), "enable"),
        ("enabled, not noted", Before(f"note {ENABLED}"), "enable"),
        ("enabled and noted", Before(f"write {H}/config/~HandlerStatus", 2), "enable"),
        ("status about to be uploaded", Asked("hgap.status"), "enable"),
        ("status uploaded", Reported(), "enable"),
    )
    return tuple(Point(INSTALL, *row) for row in rows)


def _update() -> tuple[Point, ...]:
    """From one version to the next, up, up without install, and down."""
    gone = f".{H}.removed"
    rows: tuple[tuple[str, At, str], ...] = (
        ("new package downloaded half", Asked("storage.packages", half=True), ALL),
        ("new version unpacked", Before(f"write {N}/~HandlerEnvironment.json"), ALL),
        ("old disable runs", Within("disable 1.0.0 1"), ALL),
        ("old disabled, not noted", Before(f"note {INSTALLED}"), ALL),
        ("old disabled and noted", Before(f"write {N}/mrseq"), UPDATED),
        ("half carried over", Before(f"write {N}/status/0.status"), UPDATED),
        ("new update runs", Within("update 1.1.0 1"), UPDATED),
        ("new update has ended", Before(f"remove {N}/{COMMAND}"), UPDATED),
        ("old uninstall runs", Within("uninstall 1.0.0 1"), UPDATED),
        ("old uninstall has ended", Before(f"remove {H}/{COMMAND}", 2), UPDATED),
        ("old about to be removed", Before(f"rename {H} to {gone}"), UPDATED),
        ("old half removed", Before(f"rmdir {gone}/config"), FRESH),
        ("new install runs", Within("install 1.1.0 1"), FRESH),
        ("new installed and noted", Before(f"write {N}/config/~HandlerStatus"), "enable"),
        ("new enable runs", Within("enable 1.1.0 1"), "enable"),
        ("new status uploaded", Reported(), "enable"),
    )
    only: tuple[tuple[str, At, str], ...] = (
        ("new noted, old not removed", Before(f"rename {H} to {gone}"), "enable"),
        ("old half removed", Before(f"rmdir {gone}/config"), "enable"),
    )
    down: tuple[tuple[str, At, str], ...] = (
        ("old update runs", Within("update 1.1.0 1"), UPDATED),
        ("old half removed", Before(f"rmdir .{N}.removed/config"), FRESH),
    )
    return (
        *(Point(UPDATE, *row) for row in rows),
        *(Point(UPDATE_ONLY, *row) for row in only),
        *(Point(DOWNGRADE, *row) for row in down),
    )


def _removal() -> tuple[Point, ...]:
    """Disable, uninstall, and what the goal state has forgotten."""
    gone = f".{H}.removed"
    return (
        Point(DISABLING, "disable runs", Within("disable 1.0.0 1"), "disable"),
        Point(DISABLING, "disabled, not noted", Before(f"note {INSTALLED}"), "disable"),
        Point(UNINSTALLING, "disable runs", Within("disable 1.0.0 1"), "disable uninstall"),
        Point(
            UNINSTALLING,
            "disabled and noted",
            Before("run handler.sh uninstall"),
            "uninstall",
        ),
        Point(UNINSTALLING, "uninstall runs", Within("uninstall 1.0.0 1"), "uninstall"),
        Point(UNINSTALLING, "about to be removed", Before(f"rename {H} to {gone}"), "uninstall"),
        Point(UNINSTALLING, "half removed", Before(f"rmdir {gone}/config"), ""),
        Point(UNINSTALLING, "removal uploaded", Reported(), ""),
        Point(FORGOTTEN, "about to be removed", Before(f"rename {H} to {gone}"), "enable"),
        Point(FORGOTTEN, "half removed", Before(f"rmdir {gone}/config"), "enable"),
    )


def _several() -> tuple[Point, ...]:
    """A handler with two configurations."""
    both = "enable enable"
    rest = f"update uninstall install {both}"
    off = f"note {H}/config/a.HandlerState = disabled"
    return (
        Point(SEVERAL_INSTALL, "enable of a runs", Within("enable 1.0.0 a.0"), both),
        Point(SEVERAL_INSTALL, "a enabled and noted", Before(f"note {ENABLED}"), both),
        Point(SEVERAL_INSTALL, "enable of b runs", Within("enable 1.0.0 b.0"), both),
        Point(
            SEVERAL_UPDATE, "old disable of b runs", Within("disable 1.0.0 b.1"), f"disable {rest}"
        ),
        Point(SEVERAL_UPDATE, "old a disabled, not noted", Before(off), f"disable disable {rest}"),
        Point(
            SEVERAL_UPDATE,
            "old half removed",
            Before(f"rmdir .{H}.removed/config"),
            FRESH + " enable",
        ),
        Point(SEVERAL_UPDATE, "enable of b runs", Within("enable 1.1.0 b.1"), both),
        Point(SEVERAL_DISABLE, "disable of a runs", Within("disable 1.0.0 a.1"), "disable enable"),
        Point(
            SEVERAL_DISABLE,
            "a half forgotten",
            Before(f"remove {H}/config/a.HandlerState"),
            "disable enable",
        ),
        Point(SEVERAL_DISABLE, "a forgotten, not noted", Before(f"note {INSTALLED}"), "enable"),
        Point(SEVERAL_OFF, "both disabled, handler not noted", Before(f"note {INSTALLED}"), ""),
        Point(
            SEVERAL_UNINSTALL, "disable of b runs", Within("disable 1.0.0 b.1"), "disable uninstall"
        ),
        Point(SEVERAL_UNINSTALL, "uninstall runs", Within("uninstall 1.0.0 a.1"), "uninstall"),
        Point(SEVERAL_UNINSTALL, "half removed", Before(f"rmdir .{H}.removed/config"), ""),
    )


POINTS = (*_install(), *_update(), *_removal(), *_several())
