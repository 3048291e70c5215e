"""Deprovision: plan what would go, show it with the reasons, ask, then do it.

A machine that is cleaned becomes an image of many. A step that fails does not keep the others from
being done; all are told at the end, and another run does what is left. Source: spec DAEMON 8.1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Optional, Protocol

from waagent.core.clearing import Cleared
from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.records import dataclass, replace
from waagent.guest.profile import Profile
from waagent.provisioning.deprovision_deeds import Scene, do
from waagent.provisioning.deprovision_look import find_obstacles, find_targets, look
from waagent.provisioning.deprovision_plan import Deed, Plan, Step, plan_deprovision
from waagent.provisioning.leftovers import await_leftovers

log = logging.getLogger(__name__)

QUESTION = "Do you want to proceed (y/n)"
MOST_SHOWN = 10
MOST_SHOWN_DRY = 1000
INDENT = "      "
PROGRAMS = frozenset({"chpasswd", "hostnamectl", "ssh-keygen", "useradd", "userdel", "usermod"})
"""What a run that was killed, or a provisioning, may have left at work on what is cleaned here."""


class Terminal(Protocol):
    """Who asked for it: a person or a script."""

    def say(self, line: str) -> None:
        """Show a line."""

    def ask(self, question: str) -> Optional[str]:
        """The answer, or ``None`` when there is nobody to give one."""

    def commit(self) -> None:
        """From here on it is done to its end, whoever interrupts or leaves."""


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    with_user: bool = False
    force: bool = False
    dry_run: bool = False


def deprovision(context: Context, profile: Profile, wish: Wish, terminal: Terminal) -> int:
    """Show the plan and, unless told not to, carry it out; the exit code."""
    plan = plan_deprovision(context.conf, profile, look(context, profile), with_user=wish.with_user)
    for line in render_plan(context, plan, most=MOST_SHOWN_DRY if wish.dry_run else MOST_SHOWN):
        terminal.say(line)
    if wish.dry_run:
        terminal.say("Nothing has been changed: this was a dry run")
        return 0
    if not wish.force:
        answer = terminal.ask(QUESTION)
        if answer is None:
            raise AgentError(
                "cannot deprovision: nobody answered the question, so nothing has been changed;"
                " with -force none is asked"
            )
        if not answer.lower().startswith("y"):
            terminal.say("Nothing has been changed")
            return 0
    terminal.commit()
    await_leftovers(context, PROGRAMS)
    return _tell_end(carry_out(context, profile, plan, terminal), terminal)


def render_plan(context: Context, plan: Plan, *, most: int) -> Iterator[str]:
    """The warnings as the existing agent gives them, then each step, why, and what it hits."""
    yield from plan.warnings
    yield ""
    yield "This is what is done, and why:"
    for number, step in enumerate(plan.steps, start=1):
        yield f"{number:3}. {step.what}: {step.why}"
        yield from (f"{INDENT}{path}" for path in _cut(find_targets(context, step), most))
        yield from (f"{INDENT}left alone: {what}" for what in find_obstacles(context, step))
    yield from (f"Note: {note}" for note in plan.notes)
    yield ""


def carry_out(
    context: Context, profile: Profile, plan: Plan, terminal: Terminal
) -> tuple[str, ...]:
    """Do all steps in their order, each whatever became of the others; what failed."""
    scene = Scene(context, profile)
    failures: list[str] = []
    for number, step in enumerate(plan.steps, start=1):
        failed = _attempt(scene, step, f"{number:3}.", terminal)
        failures += failed
        if failed and step.deed is Deed.DELETE_USER:
            scene = replace(scene, user_is_left=True)
    return tuple(failures)


def _attempt(scene: Scene, step: Step, label: str, terminal: Terminal) -> list[str]:
    try:
        cleared = do(scene, step)
    except (AgentError, OSError) as error:
        cleared, failures = Cleared(), [describe(error)]
    except Exception as error:  # one step from the next: a defect in one must not spare the rest
        log.exception("Cannot %s", step.what)
        cleared, failures = Cleared(), [describe(error)]
    else:
        failures = [f"cannot remove {left}" for left in cleared.failed]
    count = f" ({cleared.removed} removed)" if cleared.removed and not failures else ""
    failures, spared = _cut(failures), _cut([f"left alone: {left}" for left in cleared.spared])
    terminal.say(f"{label} {'Failed to ' if failures else 'Done: '}{step.what}{count}")
    for line in (*failures, *spared):
        terminal.say(f"{INDENT}{line}")
    return [f"{step.what}: {failure}" for failure in failures]


def _cut(lines: list[str], most: int = MOST_SHOWN) -> list[str]:
    """The first lines, and how many more there are: a read-only disk refuses every file."""
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"and {more} more"]


def _tell_end(failures: tuple[str, ...], terminal: Terminal) -> int:
    if not failures:
        terminal.say("Deprovisioned. Shut the machine down now: the next start sets it up anew")
        return 0
    terminal.say("Failed to deprovision all of it. What is left to do, by hand or by another run:")
    for failure in failures:
        terminal.say(f"  {failure}")
    return 1
