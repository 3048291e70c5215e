"""The counters of a guest, read from what its shell printed, and the window between two."""

from __future__ import annotations

import subprocess

import pytest

from tests.bench.record import compare, find_child_start, read_memory
from tests.bench.snapshot import SCRIPT, parse_snapshot

GROUP = "/sys/fs/cgroup/azure.slice/walinuxagent.service"
NAMES = ("daemon", "child", "dhclient")
PARENTS = {"daemon": 1, "child": 259, "dhclient": 1}
NUMBERS = {"daemon": 259, "child": 331, "dhclient": 365}


def print_process(name: str, *, cpu: int, written: int) -> str:
    """What `tail -v` prints of one process."""
    pid = NUMBERS[name]
    stat = (
        f"{pid} (a (b) c) S {PARENTS[name]} 1 1 0 -1 4194304 1 2 3 4 {cpu} 10 5 0 20 0 1 0 {pid}00"
    )
    files = {
        "smaps_rollup": "55d0-7ffe ---p 0 0 [rollup]\nRss:  40 kB\nPss:  30 kB\nPss_Dirty: 9 kB",
        "stat": f"{stat} 1 2",
        "io": f"rchar: 1\nwrite_bytes: {written}\ncancelled_write_bytes: 5",
        "cmdline": f"waagent\0-{name}\0",
        f"task/{pid}/comm": "waagent",
        f"task/{pid + 1}/comm": "waagent",
    }
    return "".join(f"==> /proc/{pid}/{name} <==\n{text}\n\n" for name, text in files.items())


def print_guest(*, uptime: float, cpu: int = 100, written: int = 4096, trace: str = "") -> str:
    """What the script prints of a guest in which an agent runs."""
    system = {
        "/proc/uptime": f"{uptime} 10.0",
        "/proc/stat": f"cpu 1 2 3\nprocesses {int(uptime)}\nprocs_running 1",
        "/proc/diskstats": (
            " 11 0 sr0 1 2 3 4 5 6 7 8 9 10 11\n"
            f" 254 0 vda 1740 704 134930 1945 324 728 {int(uptime)} 337 0 2156 2307 0 0 0 0 79 24"
        ),
        f"{GROUP}/cpu.stat": f"usage_usec {cpu}0000\nuser_usec 1",
        f"{GROUP}/io.stat": "254:0 rbytes=1 wbytes=8192 rios=2 wios=1\n11:0 rbytes=1 wbytes=0",
        f"{GROUP}/memory.current": "66514944",
    }
    parts = "".join(f"==> {name} <==\n{text}\n\n" for name, text in system.items())
    parts += "".join(print_process(name, cpu=cpu, written=written) for name in NAMES)
    return f"==> trace <==\n{trace}{parts}"


def test_snapshot_reads_the_counters_of_the_system_and_of_the_group() -> None:
    """Each from its own file."""
    seen = parse_snapshot(print_guest(uptime=120.5))
    assert seen.uptime_s == 120.5
    assert seen.forks_of_all == 120
    assert seen.disk_written_bytes == 120 * 512
    assert seen.group_cpu_s == 1.0
    assert seen.group_written_bytes == 8192
    assert seen.group_memory_bytes == 66514944


def test_snapshot_reads_every_process_of_the_group() -> None:
    """Also one whose name has brackets in it."""
    process = next(p for p in parse_snapshot(print_guest(uptime=120.0)).processes if p.pid == 331)
    assert (process.parent, process.command) == (259, "waagent -child")
    assert (process.own_cpu_s, process.children_cpu_s) == (1.1, 0.05)
    assert (process.pss_bytes, process.rss_bytes) == (30 * 1024, 40 * 1024)
    assert process.threads == (331, 332)
    assert process.started_s == 331.0
    assert process.written_bytes == 4096


def test_family_is_the_daemon_and_what_descends_from_it() -> None:
    """A DHCP client that an agent has started belongs to init."""
    seen = parse_snapshot(print_guest(uptime=120.0))
    assert [p.pid for p in seen.family(259)] == [259, 331]
    assert read_memory(seen, 259).child_pss_bytes == 30 * 1024
    assert find_child_start(seen, 259) == 331.0


def test_snapshot_of_a_stopped_service_has_no_processes() -> None:
    """The system's counters are there all the same."""
    text = print_guest(uptime=99.0).partition(f"==> {GROUP}")[0]
    seen = parse_snapshot(text)
    assert (seen.processes, seen.group_cpu_s, seen.forks_of_all) == ((), 0.0, 99)


def test_snapshot_refuses_what_is_none() -> None:
    """Nothing is measured by silence."""
    with pytest.raises(ValueError, match="uptime"):
        parse_snapshot("sh: 1: tail: not found")


def test_process_that_ended_while_it_was_looked_at_is_left_out() -> None:
    """Its files are empty or gone."""
    text = print_guest(uptime=99.0) + "==> /proc/900/stat <==\n\n"
    assert 900 not in {p.pid for p in parse_snapshot(text).processes}


def test_window_holds_what_was_counted_between_two_snapshots() -> None:
    """The group's CPU counts all of it, the family's own CPU the daemon and its child."""
    start = parse_snapshot(print_guest(uptime=100.0))
    end = parse_snapshot(print_guest(uptime=400.0, cpu=150, written=12288))
    window = compare(start, end, 259, {"wire.goalstate": 50})
    assert window.seconds == 300.0
    assert window.cpu_s == pytest.approx(0.5)
    assert window.cpu_own_s == pytest.approx(1.0)
    assert window.disk_written_bytes == 300 * 512
    assert window.processes_written_bytes == 2 * 8192
    assert (window.processes, window.processes_of_all) == (0, 300)


def test_window_counts_processes_of_the_agent_in_the_trace() -> None:
    """Started by a thread of the child."""
    trace = " w-332 [000] ..... 1.0: task_newtask: pid=9 comm=w clone_flags=1200000 oom=0\n"
    start = parse_snapshot(print_guest(uptime=100.0))
    end = parse_snapshot(print_guest(uptime=400.0, trace=trace))
    assert compare(start, end, 259, {}).processes == 1


def test_window_without_a_trace_does_not_know_of_processes() -> None:
    """A kernel that cannot trace is not one that starts nothing."""
    text = print_guest(uptime=400.0).partition("==> trace <==\n")[2]
    window = compare(parse_snapshot(text), parse_snapshot(text), 259, {})
    assert window.processes is None


def test_script_is_one_that_a_shell_understands() -> None:
    """What it finds depends on the machine, its grammar does not."""
    done = subprocess.run(["sh", "-n", "-c", SCRIPT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
