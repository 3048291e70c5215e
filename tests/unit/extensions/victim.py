"""A process that brings handlers to a goal state and is killed by one of them.

Run as ``python -m tests.unit.extensions.victim <root> <operation>``; the handler's command of that
name, at its end, kills whoever wrote ``agent.pid`` beside the lib dir.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.unit.extensions.world import World, goal, one, package

OLD, NEW = "1.0.0", "1.1.0"
TRAP = r"""
if [ "$1" = "@OPERATION@" ] && [ -f "$home/../../agent.pid" ]; then
    kill -9 "$(cat "$home/../../agent.pid")"
fi
"""


def publish(world: World, operation: str = "") -> None:
    """Two versions, whose command of this name is the trap."""
    trap = TRAP.replace("@OPERATION@", operation or "none")
    for version in (OLD, NEW):
        world.store.publish(version, package(trap=trap))


def main(root: Path, operation: str) -> None:
    """Enable the old version; then go to the new one as a process that can be killed."""
    world = World(root)
    publish(world, operation)
    world.extensions.process(goal(one()))
    (root / "var" / "lib" / "agent.pid").write_text(str(os.getpid()))
    world.start().process(goal(one(1, version=NEW), number=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
