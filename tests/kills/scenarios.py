"""What a machine has, what the fabric then wants: the operations in which the child is killed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.fabric.model import DISABLED, UNINSTALL, Extension, ExtensionGoal, Settings, Vm
from tests.kills.package import NAME, OTHER

OLD, NEW = "1.0.0", "1.1.0"
BOTH = (OLD, NEW)


@dataclass(frozen=True)
class Scenario:
    """Extensions before and after a goal state, which is number 2."""

    name: str
    before: tuple[Extension, ...]
    after: tuple[Extension, ...]

    def vm(self, extensions: tuple[Extension, ...], number: int) -> Vm:
        """What the fabric wants; opening certificates would only take time."""
        goal = ExtensionGoal(extensions=extensions, in_svd_seq_no=number)
        return Vm(incarnation=number, goal=goal, fast_goal=goal, has_certificates=False)


def single(version: str = OLD, seq_no: int = 0, name: str = NAME) -> Extension:
    """A handler of one configuration."""
    settings = (Settings(seq_no, {"a": 1}),)
    return Extension(name, version, settings=settings, published=BOTH)


def several(version: str, *settings: Settings) -> Extension:
    """A handler of several configurations."""
    return Extension(NAME, version, settings=settings, multi_config=True, published=BOTH)


def without_install(extension: Extension) -> Extension:
    """Updates do without the install command."""
    return replace(extension, manifest_options=(("updateMode", "UpdateWithoutInstall"),))


def removed(extension: Extension) -> Extension:
    """It is to be uninstalled."""
    return replace(extension, state=UNINSTALL)


def off(extension: Extension) -> Extension:
    """It is to be disabled, and all of its configurations as the fabric then lists them."""
    entries = tuple(replace(each, seq_no=each.seq_no + 1) for each in extension.settings)
    return replace(extension, state=DISABLED, settings=entries)


A, B = Settings(0, {"a": 1}, name="a"), Settings(0, {"b": 1}, name="b")
A_NEXT, B_NEXT = replace(A, seq_no=1), replace(B, seq_no=1)
A_OFF = replace(A_NEXT, state=DISABLED)

INSTALL = Scenario("install", (), (single(),))
UPDATE = Scenario("update", (single(),), (single(NEW, 1),))
UPDATE_ONLY = Scenario(
    "update without install", (without_install(single()),), (without_install(single(NEW, 1)),)
)
DOWNGRADE = Scenario("downgrade", (single(NEW),), (single(OLD, 1),))
UNINSTALLING = Scenario("uninstall", (single(),), (removed(single(OLD, 1)),))
FORGOTTEN = Scenario(
    "a handler is named no more", (single(), single(name=OTHER)), (single(name=OTHER, seq_no=1),)
)
DISABLING = Scenario("disable", (single(),), (off(single()),))
SEVERAL_INSTALL = Scenario("several: install", (), (several(OLD, A, B),))
SEVERAL_UPDATE = Scenario("several: update", (several(OLD, A, B),), (several(NEW, A_NEXT, B_NEXT),))
SEVERAL_DISABLE = Scenario(
    "several: one goes, one comes", (several(OLD, A),), (several(OLD, A_OFF, B_NEXT),)
)
SEVERAL_OFF = Scenario("several: disable all", (several(OLD, A, B),), (off(several(OLD, A, B)),))
SEVERAL_UNINSTALL = Scenario(
    "several: uninstall", (several(OLD, A, B),), (removed(several(OLD, A_NEXT, B_NEXT)),)
)

SCENARIOS = (
    INSTALL,
    UPDATE,
    UPDATE_ONLY,
    DOWNGRADE,
    DISABLING,
    UNINSTALLING,
    FORGOTTEN,
    SEVERAL_INSTALL,
    SEVERAL_UPDATE,
    SEVERAL_DISABLE,
    SEVERAL_OFF,
    SEVERAL_UNINSTALL,
)
