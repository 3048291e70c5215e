"""What has to hold after a kill and a restart, whatever the step."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.kills.machine import End

_MOMENT = re.compile(r'"timestampUTC": "[^"]*"')


def ended(calls: Sequence[str]) -> list[str]:
    """The commands that came to their end."""
    return [call[len("end ") :] for call in calls if call.startswith("end ")]


def faults(before: Sequence[str], after: End, undisturbed: End) -> list[str]:
    """What differs from an undisturbed run; ``before`` are the calls up to the kill.

    The restart goes on with a command that had begun at the latest, and then leaves none out.
    """
    found = []
    if [step for step in (*before, *after.calls) if step.startswith("beside")]:
        found.append(f"two commands at once: {[*before, *after.calls]}")
    whole = ended(undisturbed.calls)
    done, again = ended(before), ended(after.calls)
    running = len([call for call in before if call.startswith("begin ")]) > len(done)
    if running:  # it came to its end beside the agent that waited for it
        done, again = [*done, *again[:1]], again[1:]
    if done != whole[: len(done)]:
        found.append(f"before the kill {done} ran, which {whole} does not begin with")
    rest = whole[len(whole) - len(again) :] if again else []
    if again != rest:
        found.append(f"after the kill {again} ran, which {whole} does not end with")
    if len(again) < len(whole) - len(done) + running:
        found.append(f"after the kill {again} ran, which leaves out some of {whole}")
    for name in sorted({*after.tree, *undisturbed.tree} - _whole_packages(after)):
        ours, theirs = after.tree.get(name), undisturbed.tree.get(name)
        if ours != theirs:
            found.append(f"{name} is {ours} and not {theirs}")
    if _timeless(after.statuses) != _timeless(undisturbed.statuses):
        found.append(f"the fabric hears {after.statuses} and not {undisturbed.statuses}")
    return found


def _whole_packages(end: End) -> set[str]:
    """A package that had come when the agent was killed is used, and stays with its version.

    As the package of an image builder does (EXT 3.3).
    """
    return {
        name
        for name in end.tree
        if name.endswith(".zip") and name[: -len(".zip")].replace("__", "-") in end.tree
    }


def _timeless(statuses: Sequence[str]) -> list[str]:
    return [_MOMENT.sub("", status) for status in statuses]
