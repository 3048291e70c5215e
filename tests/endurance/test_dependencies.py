"""25 extensions that depend on each other: in order, one that fails in the middle, and removal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.endurance.process import IS_LONG, Child
from tests.fabric import Fabric, Vm
from tests.fabric.emulator import handler_items
from tests.fabric.model import Dependency, Extension, ExtensionGoal, Settings

LEVELS = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5)
MANY = "Fabric.Test.Many"
MANY_LEVELS = {"one": 3, "two": 4}  # 23 handlers of one extension, and one of two
FAILING = "Fabric.Test.N13"
SKIPPING = "Skipping processing of extensions since execution of dependent extension"


def make_extensions() -> tuple[Extension, ...]:
    """Some trees that share branches, in an order that says nothing."""
    random = Random(25)
    names = [f"Fabric.Test.N{number:02}" for number in range(len(LEVELS))]
    found = []
    for name, level in zip(names, LEVELS):
        below = [other for other, its in zip(names, LEVELS) if its == level - 1]
        depends = tuple(Dependency(one) for one in random.sample(below, min(2, len(below))))
        found.append(
            Extension(
                name, settings=(Settings(0, {"echo": name}, level=level, depends_on=depends),)
            )
        )
    several = tuple(
        Settings(0, {"echo": name}, name=name, level=level, depends_on=(Dependency(names[13]),))
        for name, level in MANY_LEVELS.items()
    )
    found.append(Extension(MANY, settings=several, multi_config=True))
    random.shuffle(found)
    return tuple(found)


EXTENSIONS = make_extensions()


def in_order(*, is_removal: bool = False) -> list[str]:
    """What has to come after what, from the goal state alone: a name for each extension."""
    items = [(entry.level, each.name) for each in EXTENSIONS for entry in each.settings]
    items.sort(key=lambda item: -item[0] - 1 if is_removal else item[0])
    return [name for _, name in items]


ORDER = in_order()
BEFORE = ORDER[: ORDER.index(FAILING)]
AFTER = ORDER[ORDER.index(FAILING) + 1 :]


@dataclass(frozen=True)
class Report:
    """What a status says of one extension: its handler, and itself where it says something."""

    handler: str
    handler_code: int
    handler_message: str
    status: str
    code: int
    message: str


def report_of(item: dict[str, Any]) -> Report:
    """One item of the status document."""
    inner = item.get("runtimeSettingsStatus", {}).get("settingsStatus", {}).get("status", {})
    return Report(
        item["status"],
        item.get("code", 0),
        item.get("formattedMessage", {}).get("message", ""),
        inner.get("status", ""),
        inner.get("code", 0),
        (inner.get("formattedMessage") or {}).get("message", ""),
    )


def reports(document: dict[str, Any]) -> dict[str, list[Report]]:
    """What a status document says of each handler."""
    return {
        each.name: [report_of(item) for item in handler_items(document, each.name)]
        for each in EXTENSIONS
    }


def await_turn(child: Child, goal_id: int) -> dict[str, list[Report]]:
    """The first status after the goal state of that number was carried out."""
    mark = f"ProcessExtensionsGoalState completed [incarnation_{goal_id} "
    fabric = child.fabric
    fabric.await_(lambda: mark in child.output(), 120, f"the end of goal state {goal_id}")
    since = len(fabric.world.received.statuses)
    return reports(fabric.await_status(since=since))


FAILURES = {
    "its command fails": ({"exit": 7}, f"{SKIPPING} {FAILING} failed"),
    "it reports an error": (
        {"status": "error"},
        f"Dependent Extension {FAILING} did not succeed. Status was error",
    ),
}
PLAYED = tuple(FAILURES) if IS_LONG else ("its command fails",)


@pytest.mark.parametrize(("how", "why"), [FAILURES[each] for each in PLAYED], ids=PLAYED)
def test_25_extensions_come_in_order_and_none_after_one_that_failed(
    tmp_path: Path, how: dict[str, Any], why: str
) -> None:
    """Those before it are done; the others say why they are not; repaired, all are done."""
    assert len(ORDER) == 25
    wanted = tuple(
        replace(each, settings=(replace(each.settings[0], public=how),))
        if each.name == FAILING
        else each
        for each in EXTENSIONS
    )
    goal = ExtensionGoal(extensions=wanted, required_features=("MultipleExtensionsPerHandler",))
    vm = replace(Vm(has_certificates=False), goal=goal, fast_goal=goal)
    with Fabric(vm) as fabric, Child(tmp_path, fabric) as child:
        found = await_turn(child, 1)
        assert child.calls("enable") == [*BEFORE, FAILING]
        for name in BEFORE:
            assert [(each.handler, each.status) for each in found[name]] == [("Ready", "success")]
        (failed,) = found[FAILING]
        assert (failed.handler, failed.status) != ("Ready", "success")
        for name in set(AFTER) - {MANY}:
            assert [(each.handler, each.handler_code) for each in found[name]] == [("NotReady", -1)]
            assert {each.handler_message for each in found[name]} == {why}
        assert [(each.status, each.code) for each in found[MANY]] == [("error", -1)] * 2
        assert {each.message for each in found[MANY]} == {why}

        fabric.portal.update_settings(FAILING, {"echo": "repaired"})
        found = await_turn(child, fabric.vm.incarnation)
        assert child.calls("enable")[len(BEFORE) + 1 :] == ORDER
        every = [each for items in found.values() for each in items]
        assert [(each.handler, each.status) for each in every] == [("Ready", "success")] * 25

        fabric.portal.remove_extensions(*(each.name for each in EXTENSIONS))
        found = await_turn(child, fabric.vm.incarnation)
        removed = [name for name in in_order(is_removal=True) if name != MANY]
        assert [name for name in child.calls("uninstall") if name != MANY] == removed
        assert child.calls("uninstall").count(MANY) == 1
        assert not any(found.values())
        assert list(child.paths.lib.glob("Fabric.Test.*-1.0.0")) == []
