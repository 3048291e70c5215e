"""The recorded calls of extension commands, one after the other: order, folder, environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fabric import echo
from tests.support.golden import FOLDER
from tests.unit.extensions.world import World, goal
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings

ECHO, SECOND, MULTI = "Oracle.Test.Echo", "Oracle.Test.Second", "Oracle.Test.Multi"
CALLS = 31
OFF, GONE = RequestedState.DISABLED, RequestedState.UNINSTALL


def blocks(text: str, root: str = "") -> list[list[str]]:
    """What each call saw, without its time, its control group, its parent and its root folder."""
    found: list[list[str]] = []
    for line in text.replace(root, "").splitlines() if root else text.splitlines():
        if line.startswith("== "):
            found.append([line.partition(" t=")[0]])
        elif not line.startswith(("cgroup=", "uid=", "settings_mode=", "unreachable")):
            found[-1].append(line)
    return found


def single(
    name: str,
    version: str,
    number: int,
    *,
    level: int = 0,
    state: RequestedState = RequestedState.ENABLED,
    **public: Any,
) -> Handler:
    """A handler of one extension with its public settings."""
    entry = Settings(name, number, dependency_level=level, public_settings=public)
    return Handler(name, version, state, (name,), settings=(entry,))


def multi(*entries: Settings, state: RequestedState = RequestedState.ENABLED) -> Handler:
    """The handler of several extensions."""
    return Handler(MULTI, "1.0.0", state, (MULTI,), settings=entries, is_multi_config=True)


def history() -> Sequence[tuple[Handler, ...]]:
    """The goal states of the steps 01 to 08."""
    second = single(SECOND, "2.0.0", 0, level=1)
    upgraded = single(ECHO, "1.1.0", 5)
    one, two = Settings("one", 0), Settings("two", 0)
    again, dropped = Settings("one", 1), Settings("two", 0, state=OFF)
    return (
        (single(ECHO, "1.0.0", 0),),
        (single(ECHO, "1.0.0", 1),),
        (second, single(ECHO, "1.0.0", 2)),
        (second, single(ECHO, "1.0.0", 3, exit=5)),
        (second, single(ECHO, "1.0.0", 4)),
        (second, upgraded),
        (second, upgraded, multi(one, two)),
        (second, upgraded, multi(again, dropped)),
        (
            single(SECOND, "2.0.0", 0, level=1, state=GONE),
            upgraded,
            multi(again, dropped, state=GONE),
        ),
        (single(ECHO, "1.1.0", 5, state=OFF),),
        (single(ECHO, "1.1.0", 6),),
    )


def test_extension_commands_are_called_as_they_were_recorded(tmp_path: Path) -> None:
    """From the first install to the second enable of step 08; the settings are for root only."""
    world = World(tmp_path)
    for name, version in ((ECHO, "1.0.0"), (ECHO, "1.1.0"), (SECOND, "2.0.0"), (MULTI, "1.0.0")):
        world.store.publish(version, echo.package(version), name=name)
    for number, handlers in enumerate(history(), start=1):
        world.extensions.process(goal(*handlers, number=number))
    calls = world.paths.lib / "extension-calls.txt"
    if not calls.exists():
        calls = world.paths.lib.parents[1] / "log" / "extension-calls.txt"
    text = calls.read_text(encoding="utf-8")
    recorded = (FOLDER / "extension-calls.txt").read_text(encoding="utf-8")
    ours = blocks(text, str(tmp_path))
    theirs = blocks(recorded)[:CALLS]
    assert [block[0] for block in ours] == [block[0] for block in theirs]
    assert ours == theirs
    modes = {line[:17] for line in text.splitlines() if line.startswith("settings_mode=")}
    assert modes == {"settings_mode=600"}
    assert [record.status for record in world.extensions.statuses(goal(*history()[-1]))] == [
        "Ready"
    ]
