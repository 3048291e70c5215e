"""What a person changes about the extensions of the machine; each change is a new goal state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional

from tests.fabric import model
from tests.fabric.model import Extension, ExtensionGoal, Settings, Vm
from tests.fabric.world import World


class Portal:
    """Changes to the extensions of one machine."""

    def __init__(self, world: World, changed: Callable[[], None]) -> None:
        self._world = world
        self._changed = changed

    def set_goal(self, change: Callable[[ExtensionGoal], ExtensionGoal]) -> Vm:
        """Change what extensions are wanted, through Fast Track if that is on."""
        with self._world.lock:
            revision = self._world.next_revision()
            vm = self._world.vm
            goal = replace(
                change(vm.wanted),
                created_ticks=model.ticks_of(revision),
                in_svd_seq_no=revision,
            )
            etag = str(1000 + revision)
            if vm.fast_track == model.FAST_TRACK_ON:
                self._world.vm = replace(vm, fast_goal=goal, etag=etag)
            else:
                self._world.vm = replace(
                    vm, goal=goal, fast_goal=goal, etag=etag, incarnation=revision
                )
        self._changed()
        return self._world.vm

    def put_extension(self, extension: Extension) -> Vm:
        """Add an extension, or put another in the place of the one with its name."""

        def put(goal: ExtensionGoal) -> ExtensionGoal:
            names = [e.name for e in goal.extensions]
            if extension.name not in names:
                return replace(goal, extensions=(*goal.extensions, extension))
            kept = tuple(extension if e.name == extension.name else e for e in goal.extensions)
            return replace(goal, extensions=kept)

        return self.set_goal(put)

    def update_extension(self, name: str, **facts: Any) -> Vm:
        """Replace fields of an extension; a new version keeps the older ones in the manifest."""
        extension = self.find(name)
        if "version" in facts and "published" not in facts:
            facts["published"] = extension.versions
        return self.put_extension(replace(extension, **facts))

    def update_settings(
        self, name: str, public: Any = None, protected: Any = None, *, config: Optional[str] = None
    ) -> Vm:
        """New settings with the next sequence number, for one configuration of an extension."""
        extension = self.find(name)

        def renewed(item: Settings) -> Settings:
            if item.name != config:
                return item
            return replace(item, seq_no=item.seq_no + 1, public=public, protected=protected)

        return self.put_extension(
            replace(extension, settings=tuple(renewed(item) for item in extension.settings))
        )

    def remove_extensions(self, *names: str) -> Vm:
        """Ask for extensions to be uninstalled; they stay listed, as in a real goal state."""

        def remove(goal: ExtensionGoal) -> ExtensionGoal:
            return replace(
                goal,
                extensions=tuple(
                    replace(e, state=model.UNINSTALL) if e.name in names else e
                    for e in goal.extensions
                ),
            )

        return self.set_goal(remove)

    def drop_extensions(self, *names: str) -> Vm:
        """List extensions no longer, as the fabric does once their removal was reported."""
        return self.set_goal(
            lambda goal: replace(
                goal, extensions=tuple(e for e in goal.extensions if e.name not in names)
            )
        )

    def find(self, name: str) -> Extension:
        """The wanted extension of that name."""
        found = next((e for e in self._world.vm.wanted.extensions if e.name == name), None)
        if found is None:
            raise KeyError(f"cannot find the extension {name!r} in the goal state")
        return found
