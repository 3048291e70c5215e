"""What to do with the resource disk: pure, from facts to a plan.

The rule: only what holds nothing of anybody's is formatted. That is the platform's NTFS while it
has no other files than the platform's, what is blank, and what we had begun to format ourselves.
Source: spec DAEMON 2.3, and docs/parity.md for what the reference formats beyond that.
"""

from __future__ import annotations

import enum
from typing import Optional

from waagent.core.records import dataclass
from waagent.resourcedisk import tables
from waagent.resourcedisk.contents import Content, Facts
from waagent.resourcedisk.record import Record
from waagent.resourcedisk.tables import Kind
from waagent.resourcedisk.usage import partition_name

SHOWN = 3
LONGEST_NAME = 80
_SAME = ({"ext2", "ext3", "ext4"}, {"ntfs", "ntfs3", "ntfs-3g", "fuseblk"}, {"vfat", "msdos"})


class Action(enum.Enum):
    """What is done, from harmless to not at all."""

    MOUNT = "mount"
    FORMAT = "format"
    PARTITION = "partition"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Plan:
    """What is done to which partition.

    ``why`` ends a sentence. ``may_format`` is for a file system that is ours and turns out to be
    damaged; ``needs_type``: its MBR type still says NTFS.
    """

    action: Action
    number: int = 1
    why: str = ""
    may_format: bool = False
    needs_type: bool = False


def is_same_kind(kind: Optional[str], filesystem: str) -> bool:
    """Whether a signature is that of a file system, or of one that the same driver mounts."""
    return kind == filesystem or any(kind in same and filesystem in same for same in _SAME)


def plan_disk(facts: Facts, filesystem: str, record: Optional[Record] = None) -> Plan:
    """What to do with the disk so that it can be mounted as ``filesystem``."""
    plan = _plan(facts, filesystem, record)
    if plan.action in (Action.FORMAT, Action.PARTITION) and facts.is_read_only:
        return Plan(Action.REFUSE, why="it is read-only")
    return plan


def _plan(facts: Facts, filesystem: str, record: Optional[Record]) -> Plan:
    table, whole = facts.table, facts.whole
    if whole.kind is not None:
        return Plan(Action.REFUSE, why=f"{_holds(whole, facts.node)}; {_own_table(facts.node)}")
    if table.kind is Kind.DAMAGED:
        why = f"it has {table.problem}; repair it, or {_own_table(facts.node)}"
        return Plan(Action.REFUSE, why=why)
    if not table.partitions:
        return _plan_without_partitions(facts, record)
    return _plan_platforms(facts, filesystem) or _plan_used(facts, filesystem, record)


def _plan_without_partitions(facts: Facts, record: Optional[Record]) -> Plan:
    if facts.whole.problem:
        return Plan(Action.REFUSE, why=facts.whole.problem)
    if facts.whole.is_blank:
        return Plan(Action.PARTITION, why="it is blank")
    if _was_interrupted(facts.table, record):
        return Plan(Action.PARTITION, why="its formatting was interrupted")
    why = f"it has {facts.table.kind.value} with partitions, but is not blank"
    if facts.table.kind is Kind.NONE:
        why = "it has no partition table, but is not blank"
    return Plan(Action.REFUSE, why=f"{why}; {_own_table(facts.node)}")


def _plan_platforms(facts: Facts, filesystem: str) -> Optional[Plan]:
    """The plan for a disk as the platform delivers it; ``None`` for any other."""
    table = facts.table
    real = _real_partitions(table)
    if len(real) != 1 or facts.content(real[0].number).strangers != ():
        return None
    number = real[0].number
    if is_same_kind("ntfs", filesystem):
        return Plan(Action.MOUNT, number)
    if table.kind is Kind.GPT and len(table.partitions) > 1:
        return Plan(Action.PARTITION, why="it is as the platform delivered it")
    needs_type = table.kind is Kind.DOS and real[0].type == tables.NTFS_TYPE
    why = "it is as the platform delivered it"
    return Plan(Action.FORMAT, number, why, needs_type=needs_type)


def _plan_used(facts: Facts, filesystem: str, record: Optional[Record]) -> Plan:
    """The plan for a disk that somebody has used, be it us: its only partition, or its first."""
    table = facts.table
    real = _real_partitions(table)
    target = real[0] if len(real) == 1 else next((one for one in real if one.number == 1), None)
    if target is None:
        why = f"it has partitions, but no first one; {_own_table(facts.node)}"
        return Plan(Action.REFUSE, why=why)
    content = facts.content(target.number)
    interrupted = _was_interrupted(table, record)
    if is_same_kind(content.kind, filesystem):
        # Mounted first in any case: what can be mounted is never formatted.
        is_ours = record is not None and record.table == table.identity != ""
        made = record is not None and record.filesystem == content.uuid != ""
        return Plan(Action.MOUNT, target.number, may_format=is_ours and (made or interrupted))
    if content.kind is None and content.problem:
        return Plan(Action.MOUNT, target.number, content.problem)  # mounting harms nothing
    why = ""
    if interrupted and (content.kind is None or content.strangers == ()):
        why = "its formatting was interrupted"
    elif content.is_blank and len(real) == 1:
        why = "its only partition is blank"
    if why:
        needs_type = table.kind is Kind.DOS and target.type == tables.NTFS_TYPE
        return Plan(Action.FORMAT, target.number, why, needs_type=needs_type)
    name = partition_name(facts.node, target.number)
    return Plan(Action.REFUSE, why=f"{_holds(content, name)}; {remedy_of(name)}")


def _real_partitions(table: tables.Table) -> list[tables.Partition]:
    """Without what Windows reserves for itself, which holds nothing."""
    return [one for one in table.partitions if one.type != tables.MICROSOFT_RESERVED]


def _was_interrupted(table: tables.Table, record: Optional[Record]) -> bool:
    return (
        record is not None
        and record.filesystem is None
        and table.identity != ""
        and record.table == table.identity
    )


def _holds(content: Content, name: str) -> str:
    """What is on it, in words, and how to go on."""
    if content.strangers:
        shown = ", ".join(_short(path) for path in content.strangers[:SHOWN])
        more = len(content.strangers) - SHOWN
        rest = f" and {more} more" if more > 0 else ""
        found = f"an NTFS file system with files that are not the platform's ({shown}{rest})"
    elif content.kind is None:
        found = "data without a known signature"
    else:
        label = f' "{_short(content.label)}"' if content.label else ""
        why = f", and what is in it cannot be told: {content.problem}" if content.problem else ""
        found = f"{_short(content.kind)}{label}{why}"
    return f"{name} holds {found}"


def remedy_of(name: str) -> str:
    """How a person goes on with a partition that we leave alone."""
    return f"to lose what is on it, run mkfs on {name} yourself and restart the agent"


def _own_table(node: str) -> str:
    return (
        f"to lose what is on it, give {node} one partition with a file system yourself"
        " (sfdisk, mkfs) and restart the agent"
    )


def _short(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:LONGEST_NAME]
