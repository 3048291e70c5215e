"""The resource disk at a start of the daemon: find, decide, format, mount, warn, swap.

Whatever fails is one error in the log and one event; the boot goes on. Source: spec DAEMON 2.
"""

from __future__ import annotations

import logging
from typing import Optional

from waagent.core.commands import Result
from waagent.core.context import Context
from waagent.core.errors import AgentError, describe, for_fabric
from waagent.core.events import Op
from waagent.resourcedisk import mounting, partition, swap, usage
from waagent.resourcedisk.contents import Facts, read_facts
from waagent.resourcedisk.decide import Action, Plan, plan_disk, remedy_of
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.find import find_disk, find_local_nvme
from waagent.resourcedisk.mounting import Wish
from waagent.resourcedisk.nodes import await_device
from waagent.resourcedisk.partition import one_line
from waagent.resourcedisk.record import Record, read_record, write_record
from waagent.resourcedisk.tables import Kind

log = logging.getLogger(__name__)


def prepare(context: Context) -> None:
    """Mount the resource disk and swap to it, as configured; never raises for what fails."""
    log.info("Activate resource disk")
    try:
        point = activate(context)
    except (AgentError, OSError) as error:
        text = for_fabric(error, ResourceDiskError.label)
        log.error("Failed to mount resource disk %s", text)
        context.events.add(Op.ACTIVATE_RESOURCE_DISK, text, success=False, quiet=True)
        return
    if point is None or not context.conf.resource_disk.enable_swap:
        return
    log.info("Enable swap")
    try:
        swap.ensure_swap(context, point, context.conf.resource_disk.swap_size_mb)
    except (AgentError, OSError) as error:
        log.error("Failed to enable swap %s", describe(error))


def activate(context: Context) -> Optional[str]:
    """Where the resource disk is mounted now, or ``None`` where the VM has none."""
    system = context.system
    disk = find_disk(system, context.stop)
    if disk is None:
        _tell_of_no_disk(context)
        return None
    try:
        point = _Activation(context, disk).run()
    except (AgentError, OSError) as error:
        if usage.is_there(system, disk):
            raise
        raise ResourceDiskError(
            f"cannot go on with /dev/{disk}, which has gone: {describe(error)}"
        ) from error
    mounting.write_readme(system, point)
    return point


def _tell_of_no_disk(context: Context) -> None:
    nvme = find_local_nvme(context.system)
    others = f"; its local NVMe disks are left as they are: {', '.join(nvme)}" if nvme else ""
    swap_too = ", so no swap file is made" if context.conf.resource_disk.enable_swap else ""
    log.info("This VM has no resource disk%s%s", swap_too, others)


class _Activation:
    """One disk, from as it is to mounted."""

    def __init__(self, context: Context, disk: str) -> None:
        self._context = context
        self._system = context.system
        self._disk = disk
        self._node = f"/dev/{disk}"
        self._conf = context.conf.resource_disk
        self._point = self._system.within(self._system.path(self._conf.mount_point))

    def run(self) -> str:
        """Where it is mounted in the end."""
        there = mounting.find_mount(self._system, self._disk, self._point)
        if there is not None:
            log.info("Resource disk [%s] is already mounted [%s]", there.source, there.point)
            return str(there.point)
        claim = usage.find_claim(self._system, self._disk)
        if claim is not None:
            raise ResourceDiskError(f"cannot use {self._node} as resource disk: {claim}")
        mounting.ensure_mount_point(self._system, self._point)
        facts, plan = self._decide()
        if plan.action is Action.REFUSE:
            raise ResourceDiskError(f"cannot use {self._node} as resource disk: {plan.why}")
        if plan.action in (Action.FORMAT, Action.PARTITION):
            plan = self._format(facts, plan)
        self._mount(plan)
        log.info(
            "Resource disk %s is mounted at %s with %s",
            self._node,
            self._point,
            self._conf.filesystem,
        )
        return self._point

    def _decide(self) -> tuple[Facts, Plan]:
        log.info("Examining partition table")
        facts = read_facts(self._system, self._disk)
        if facts.table.kind is Kind.GPT:
            log.info("GPT detected, finding partitions")
            log.info("Found %d GPT partition(s).", len(facts.table.partitions))
        else:
            log.info("GPT not detected, determining filesystem")
            for one in facts.table.partitions[:1]:
                log.info("The partition type is %s", one.type)
        return facts, plan_disk(facts, self._conf.filesystem, read_record(self._context))

    def _format(self, facts: Facts, plan: Plan) -> Plan:
        """Format as planned; the plan to mount what there is then."""
        is_new = plan.action is Action.PARTITION
        partition.ensure_programs(self._system, self._conf.filesystem, partitions=is_new)
        log.info("Formatting %s: %s", self._node, plan.why)
        if is_new:
            facts = self._partition(facts)
            plan = Plan(Action.FORMAT)
        else:
            self._remember(facts.table.identity, None)
        if plan.needs_type:
            log.info("The partition is formatted with ntfs, updating partition type to 83")
            facts = partition.set_linux_type(self._system, self._disk, plan.number, facts)
        self._await_partition(plan.number)
        filesystem = self._conf.filesystem
        partition.make_filesystem(self._system, self._disk, plan.number, filesystem, facts=facts)
        made = read_facts(self._system, self._disk)
        self._remember(facts.table.identity, made.content(plan.number).uuid or None)
        return Plan(Action.MOUNT, plan.number)

    def _partition(self, facts: Facts) -> Facts:
        if facts.table.partitions:
            log.info("Removing old GPT partitions")
        log.info("Creating new GPT partition")
        identity = partition.new_identity()
        self._remember(identity, None)
        partition.write_table(self._system, self._disk, identity, facts)
        found = read_facts(self._system, self._disk)
        if found.table.identity != identity or len(found.table.partitions) != 1:
            raise ResourceDiskError(f"cannot partition {self._node}: its table is another one")
        return found

    def _mount(self, plan: Plan) -> None:
        self._await_partition(plan.number)
        wish = self._wish(plan.number)
        if self._try(wish).ok:
            return
        log.warning(
            "Failed to mount resource disk. Retry mounting after re-reading partition info."
        )
        partition.reread_table(self._system, self._disk)
        self._await_partition(plan.number)
        result = self._try(wish)
        if result.ok:
            return
        whole = mounting.why_not_damaged(self._system, wish)
        if whole is not None or not plan.may_format:
            why = whole or plan.why or "it is not known to be made by this agent"
            raise ResourceDiskError(
                f"cannot mount {wish.partition}: [{result.code}] {one_line(result)}; it is not"
                f" formatted: {why}; {remedy_of(wish.partition)}"
            )
        self._heal(plan, wish, result)

    def _heal(self, plan: Plan, wish: Wish, failure: Result) -> None:
        """The file system is ours and damaged: make it anew."""
        log.warning(
            "Failed to mount resource disk. Attempting to format and retry mount. [%s]",
            one_line(failure),
        )
        facts, again = self._decide()
        if again != plan:
            raise ResourceDiskError(f"cannot format {wish.partition}: the disk has changed")
        self._format(facts, plan)
        result = self._try(wish)
        if not result.ok:
            raise ResourceDiskError(
                f"Could not mount {wish.partition} after syncing partition table:"
                f" [{result.code}] {one_line(result)}"
            )

    def _try(self, wish: Wish) -> Result:
        return mounting.try_to_mount(self._system, self._disk, wish)

    def _wish(self, number: int) -> Wish:
        node = f"/dev/{usage.partition_name(self._disk, number)}"
        return Wish(node, self._point, self._conf.filesystem, self._conf.mount_options)

    def _await_partition(self, number: int) -> None:
        node = f"/dev/{usage.partition_name(self._disk, number)}"
        found = await_device(
            self._system,
            self._context.stop,
            lambda: True if self._system.path(node).exists() else None,
            lambda left: log.info("Waiting for partition [%s], %d attempts remaining", node, left),
        )
        if found is None:
            raise ResourceDiskError(f"Partition was not created [{node}]")

    def _remember(self, table: str, filesystem: Optional[str]) -> None:
        if table:
            write_record(self._context, Record(table, filesystem))
