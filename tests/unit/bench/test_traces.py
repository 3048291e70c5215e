"""Who started what, read from the kernel's list."""

from __future__ import annotations

from tests.bench.traces import count_started

LINES = """\
          waagent-331     [000] .....   140.100000: task_newtask: pid=500 comm=waagent clone_flags=4100 oom_score_adj=0
               sh-500     [001] .....   140.200000: sched_process_exec: filename=/usr/sbin/ip pid=500 old_pid=500
              ip-500     [001] .....   140.250000: task_newtask: pid=501 comm=ip clone_flags=1200000 oom_score_adj=0
  systemd-udevd-202     [001] .....   140.300000: task_newtask: pid=502 comm=(udev-worker) clone_flags=1200000 oom_score_adj=0
   (udev-worker)-502     [000] .....   141.000000: sched_process_exec: filename=/bin/true pid=502 old_pid=502
          waagent-340     [000] .....   142.100000: task_newtask: pid=503 comm=waagent clone_flags=3d0f00 oom_score_adj=0
           <...>-503     [001] .....   142.200000: task_newtask: pid=504 comm=waagent clone_flags=1200000 oom_score_adj=0
""".splitlines()  # noqa: E501  as the kernel writes them


def test_agent_is_charged_for_all_that_descends_from_its_threads() -> None:
    """Two processes by themselves, one by a thread that began later; one belongs to udev."""
    started = count_started(LINES, (331, 340))
    assert started.processes == 3
    assert started.threads == 1
    assert started.processes_of_others == 1


def test_programs_of_the_agent_are_named_and_no_others() -> None:
    """What the agent started became ip."""
    assert count_started(LINES, (331, 340)).programs == ("/usr/sbin/ip",)


def test_number_that_another_process_takes_is_not_the_agents_any_more() -> None:
    """The kernel gives numbers a second time."""
    lines = [
        "  udevd-202     [001] .....   1.0: task_newtask: pid=331 comm=x clone_flags=1200000 o",
        "      x-331     [001] .....   1.1: task_newtask: pid=332 comm=x clone_flags=1200000 o",
    ]
    started = count_started(lines, (331,))
    assert (started.processes, started.processes_of_others) == (0, 2)


def test_line_of_another_event_counts_for_nothing() -> None:
    """Lost events are told in lines of their own."""
    assert count_started(["CPU:1 [LOST 12 EVENTS]", ""], (1,)).processes == 0
