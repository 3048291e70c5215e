"""What the platform changes around the machine: container, certificates, users, agents."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Callable, Optional

from tests.fabric import model
from tests.fabric.certificates import StoredCertificate, issue, issue_set
from tests.fabric.model import AgentFamily, ExtensionGoal, JitUser, Vm
from tests.fabric.portal import Portal
from tests.fabric.world import World


class Platform:
    """Changes to one machine that are not about its extensions."""

    def __init__(self, world: World, portal: Portal, changed: Callable[[], None]) -> None:
        self._world = world
        self._portal = portal
        self._changed = changed

    def change(self, *, new_incarnation: bool = True, **facts: Any) -> Vm:
        """Replace fields of the Vm, as a rule with a new incarnation of the goal state."""
        with self._world.lock:
            vm = replace(self._world.vm, **facts)
            if new_incarnation:
                vm = replace(vm, incarnation=self._world.next_revision())
            self._world.vm = vm
        self._changed()
        return vm

    def move_to_new_container(
        self, container_id: Optional[str] = None, *, new_incarnation: bool = True
    ) -> Vm:
        """Another container and configuration name; the old ones are answered with 410."""
        vm = self._world.vm
        return self.change(
            new_incarnation=new_incarnation,
            containers=(*vm.containers, container_id or str(uuid.uuid4())),
            config_revision=vm.config_revision + 1,
        )

    def rotate_certificates(
        self, certificates: Optional[Iterable[StoredCertificate]] = None, *,
        new_incarnation: bool = True,
    ) -> None:  # fmt: skip
        """New certificates; settings are sealed anew for the new tenant certificate."""
        given = tuple(certificates) if certificates is not None else issue_set()
        with self._world.lock:
            self._world.sealer.certificates = given
            if new_incarnation:
                self.change()
        self._changed()

    def add_certificate(self, friendly_name: str, *, with_key: bool = True) -> StoredCertificate:
        """One more certificate of the user's, delivered with the next goal state."""
        extra = issue(friendly_name, friendly_name, with_key=with_key)
        self.rotate_certificates((*self._world.sealer.certificates, extra))
        return extra

    def set_users(self, users: Optional[Iterable[JitUser]]) -> Vm:
        """The just-in-time users; None takes RemoteAccessInfo out of the goal state."""
        return self.change(users=None if users is None else tuple(users))

    def offer_agent(
        self, version: str, package: Optional[bytes] = None, *, by_rsm: bool = False,
        family: str = "Prod",
    ) -> Vm:  # fmt: skip
        """List an agent version; `by_rsm` also asks for it, as the update service does."""
        if package is not None:
            self._world.packages[f"agent_{family}", version] = package

        def offer(goal: ExtensionGoal) -> ExtensionGoal:
            return replace(goal, families=tuple(_offered(f) for f in goal.families))

        def _offered(one: AgentFamily) -> AgentFamily:
            if one.name != family:
                return one
            listed = tuple(dict.fromkeys((*one.versions, version)))
            if not by_rsm:
                return replace(one, versions=listed)
            return replace(one, versions=listed, version=version, from_rsm=True, vm_enabled=True)

        return self._portal.set_goal(offer)

    def set_fast_track(self, mode: str) -> Vm:
        """Switch vmSettings to `off` (404), `fabric` or `fast_track`.

        What is wanted stays the same; only the channel on which later changes come is another.
        """
        if mode not in {model.FAST_TRACK_OFF, model.FAST_TRACK_FABRIC, model.FAST_TRACK_ON}:
            raise ValueError(f"cannot set vmSettings to {mode!r}")
        with self._world.lock:
            goal = self._world.vm.wanted
            vm = self.change(fast_track=mode, goal=goal, fast_goal=goal)
            return self.change(new_incarnation=False, etag=str(1000 + vm.incarnation))

    def publish(self, name: str, version: str, package: bytes) -> None:
        """Give a package of an extension or agent (`agent_Prod`) other bytes than ours."""
        with self._world.lock:
            self._world.packages[name, version] = package
