"""Rounds with numbers that are easy to calculate with."""

from __future__ import annotations

from typing import Optional

from tests.bench.record import Boot, Memory, Round, Window

MIB = 1024 * 1024


def window(*, cpu_s: float = 1.0, processes: Optional[int] = 0, disk: int = 0) -> Window:
    """A window of five minutes."""
    return Window(
        seconds=300.0,
        cpu_s=cpu_s,
        cpu_own_s=cpu_s,
        cpu_children_s=0.0,
        processes=processes,
        threads=processes,
        programs=[],
        processes_of_others=5,
        processes_of_all=5,
        disk_written_bytes=disk,
        group_written_bytes=0,
        processes_written_bytes=0,
        requests={"wire.goalstate": 50, "hgap.status": 50},
    )


def whole_round(agent: str, number: int = 1, *, ready: float = 15.0, mib: int = 10) -> Round:
    """A round in which everything was measured; the service starts at 10 s."""
    boot = Boot(service_s=10.0, kernel_s=0.5, userspace_s=5.0, system_up_s=12.0)
    boot.provisioning_s, boot.ready_s = ready - 2.0, ready
    boot.child_s, boot.extension_s = ready + 1.0, ready + 4.0
    boot.requests_s = [11.0, ready, ready + 4.0]
    memory = Memory(
        daemon_pss_bytes=mib * MIB,
        daemon_rss_bytes=mib * MIB,
        child_pss_bytes=20 * MIB,
        child_rss_bytes=25 * MIB,
        group_bytes=60 * MIB,
        commands={7: "waagent -daemon"},
    )
    return Round(
        agent,
        number,
        load_before=0.1,
        boot=boot,
        changes_s=[4.0, 5.0, 9.0],
        idle=window(cpu_s=ready / 10, disk=3 * MIB),
        alone=window(disk=1 * MIB),
        memory=memory,
        version_s=[0.5, 0.4],
        python_s=[0.2, 0.2],
        restart=Boot(service_s=10.0, status_s=ready),
    )
