"""Change the disk: write a table, set a type, make a file system. What is lost is lost.

Each step looks again, just before it, that the disk is the one that was decided on and that
nobody uses it. Source: spec DAEMON 2.3.
"""

from __future__ import annotations

import logging
import uuid

from waagent.core.commands import CANNOT_START, Result
from waagent.core.errors import CommandTimedOut
from waagent.core.records import replace
from waagent.core.system import System
from waagent.resourcedisk import usage
from waagent.resourcedisk.contents import Facts, read_facts
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.usage import partition_name

log = logging.getLogger(__name__)

TABLE_WITHIN_S = 60.0
FORMAT_WITHIN_S = 900.0
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_FORCE = {
    **dict.fromkeys(("btrfs", "xfs", "f2fs"), ("-f",)),
    "vfat": (),  # -F is something else there
    **dict.fromkeys(("ntfs", "ntfs3"), ("-F", "-Q")),
}


def mkfs_command(filesystem: str, partition: str) -> tuple[str, ...]:
    """The command that makes a file system, whatever was there."""
    return (f"mkfs.{filesystem}", *_FORCE.get(filesystem, ("-F",)), partition)


def slow_programs(filesystem: str) -> tuple[str, ...]:
    """What may go on changing the disk when the start that ran it is no more."""
    return ("sfdisk", mkfs_command(filesystem, "")[0], "mkswap")


def attempt(system: System, *argv: str, stdin: str = "", timeout_s: float) -> Result:
    """Run a command; one that is late is a result as well, of code -1."""
    try:
        return system.run(*argv, stdin=stdin.encode() if stdin else None, timeout_s=timeout_s)
    except CommandTimedOut as error:
        return Result(argv, CANNOT_START, "", str(error))


def one_line(result: Result) -> str:
    """What a command said, for a message."""
    return " ".join(result.output.split())


def ensure_programs(system: System, filesystem: str, *, partitions: bool) -> None:
    """Refuse before anything is changed where a program is not there."""
    program = mkfs_command(filesystem, "")[0]
    if not system.has_command(program):
        raise ResourceDiskError(
            f"cannot format the resource disk as {filesystem}: there is no program {program};"
            " install it, or change ResourceDisk.Filesystem"
        )
    if partitions and not system.has_command("sfdisk"):
        raise ResourceDiskError(
            "cannot partition the resource disk: there is no program sfdisk; install it"
        )


def ensure_unchanged(system: System, disk: str, facts: Facts) -> None:
    """Refuse a disk that is used by anybody, or is no longer what was decided on."""
    claim = usage.find_claim(system, disk)
    if claim is not None:
        raise ResourceDiskError(f"cannot change {facts.node}: {claim}")
    if read_facts(system, disk) != facts:
        raise ResourceDiskError(
            f"cannot change {facts.node}: it is no longer as it was found; restart the agent"
        )


def ensure_kernel_agrees(system: System, disk: str, number: int, facts: Facts) -> None:
    """Refuse a partition that the kernel sees elsewhere than the table has it."""
    name = partition_name(disk, number)
    wanted = next((one for one in facts.table.partitions if one.number == number), None)
    seen = tuple(usage.attribute(system, name, what) for what in ("start", "size"))
    if wanted is None or seen != (str(wanted.start // 512), str(wanted.size // 512)):
        raise ResourceDiskError(
            f"cannot format /dev/{name}: the kernel has another partition table than the disk;"
            " restart the machine"
        )


def new_identity() -> str:
    """A number for a disk, as its GPT has one."""
    return str(uuid.uuid4())


def write_table(system: System, disk: str, identity: str, facts: Facts) -> None:
    """Give the disk that number, and a GPT with one partition over all of it."""
    ensure_unchanged(system, disk, facts)
    script = f"label: gpt\nlabel-id: {identity}\ntype={LINUX}\n"
    argv = ("sfdisk", "--quiet", "--wipe", "always", "--wipe-partitions", "always", facts.node)
    result = attempt(system, *argv, stdin=script, timeout_s=TABLE_WITHIN_S)
    if not result.ok:
        said = one_line(result)
        raise ResourceDiskError(
            f"cannot partition {facts.node}: sfdisk says [{result.code}] {said}"
        )
    reread_table(system, disk)


def set_linux_type(system: System, disk: str, number: int, facts: Facts) -> Facts:
    """Have the MBR say that the partition is Linux's; the disk as it is then.

    One that goes on saying NTFS harms nothing: a failure is told and not raised.
    """
    ensure_unchanged(system, disk, facts)
    argv = ("sfdisk", "--part-type", f"/dev/{disk}", str(number), "83")
    result = attempt(system, *argv, timeout_s=TABLE_WITHIN_S)
    command = " ".join(argv)
    if result.ok:
        log.info("%s succeeded", command)
    else:
        log.error("%s failed [%d: %s]", command, result.code, one_line(result))
    found = read_facts(system, disk)
    if replace(found, table=facts.table) != facts:
        raise ResourceDiskError(f"cannot go on: {facts.node} is no longer as it was found")
    return found


def reread_table(system: System, disk: str) -> None:
    """Have the kernel read the table anew; by partx where it refuses to read it itself."""
    node = f"/dev/{disk}"
    if attempt(system, "blockdev", "--rereadpt", node, timeout_s=TABLE_WITHIN_S).ok:
        return
    attempt(system, "partx", "--delete", node, timeout_s=TABLE_WITHIN_S)  # it may have none
    result = attempt(system, "partx", "--add", node, timeout_s=TABLE_WITHIN_S)
    if not result.ok:
        log.warning("Cannot re-read the partition table of %s: %s", node, one_line(result))


def make_filesystem(
    system: System, disk: str, number: int, filesystem: str, *, facts: Facts
) -> None:
    """Format the partition; raises ``ResourceDiskError``."""
    ensure_kernel_agrees(system, disk, number, facts)
    ensure_unchanged(system, disk, facts)
    partition = f"/dev/{partition_name(disk, number)}"
    argv = mkfs_command(filesystem, partition)
    log.info("Format partition [%s]", " ".join(argv))
    result = attempt(system, *argv, timeout_s=FORMAT_WITHIN_S)
    if not result.ok:
        said = one_line(result)
        raise ResourceDiskError(f"cannot format {partition}: {argv[0]} says [{result.code}] {said}")
