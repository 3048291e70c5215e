"""``-show-goal-state``: what the running agent believes, from the file that it keeps.

It asks nobody and changes nothing. Source: ours, see docs/show-goal-state.md.
"""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from waagent.cli.arguments import Options
from waagent.cli.belief_text import Reading, render_text, seconds_of
from waagent.core import files
from waagent.core.errors import AgentError, DocumentError, describe
from waagent.core.paths import BELIEF
from waagent.core.system import System, real_system
from waagent.guest.processes import find_begin
from waagent.guest.profiles import read_profile
from waagent.guest.release import read_release
from waagent.guest.stats import read_boot
from waagent.protocol.documents.json_fields import Fields, parse_json

SHOWN = 0
FAILED = 1
NOT_RUNNING = 3  # as an init script says it of a service
LARGEST = 16 * 1024 * 1024


class Shown(NamedTuple):
    """What goes where, and the exit code."""

    code: int
    output: str
    complaint: str = ""


def run(options: Options) -> int:
    """Show it, or say on standard error why that cannot be; the exit code."""
    shown = show(real_system(), as_json=options.json)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(shown.output.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.write(shown.complaint)
    return shown.code


def show(system: System, *, as_json: bool) -> Shown:
    """What the file of that machine says, or what to do about it that there is none."""
    path = system.path(BELIEF)
    try:
        data = files.read(path, limit=LARGEST)
        document = parse_json(data, BELIEF)
        belief = Fields(document, BELIEF)
        reading = _read_writer(system, belief)
        text = _render_json(document, belief, reading) if as_json else render_text(belief, reading)
    except PermissionError:
        return _failed("only root may look at it: use sudo")
    except (FileNotFoundError, NotADirectoryError):
        service = read_profile(system, read_release(system)).agent_service
        return _failed(
            f"there is no {BELIEF}. The agent writes it once it is set up and handles extensions;"
            f" is it running? systemctl status {service}"
        )
    except DocumentError as error:
        return _failed(f"{describe(error)}; another version may have written it")
    except (AgentError, OSError) as error:
        return _failed(describe(error))
    if reading.is_running:
        return Shown(SHOWN, text)
    complaint = f"The agent is not running: this is what it believed at {belief.text('written')}\n"
    return Shown(NOT_RUNNING, text, complaint)


def _failed(why: str) -> Shown:
    return Shown(FAILED, "", f"cannot show the goal state: {why}\n")


def _read_writer(system: System, belief: Fields) -> Reading:
    """Whether the process that wrote it is there: the same, not a later one of its number."""
    agent = belief.maybe_object("agent")
    if agent is None:
        raise belief.error("it is missing", "agent")
    began = find_begin(system, agent.number("pid"))
    same = began is not None and began == agent.value("began")
    is_running = same and agent.value("boot") == read_boot(system)
    is_running = is_running and agent.maybe_text("ended") is None
    return Reading(system.clock.now(), system.clock.monotonic(), is_running)


def _render_json(document: dict[str, object], belief: Fields, reading: Reading) -> str:
    """The document, with what can only be told when it is read."""
    seconds = [round(seconds_of(deed, reading), 3) for deed in belief.objects("doing")]
    whole = {**document, "running": reading.is_running, "doing_seconds": seconds}
    return json.dumps(whole, indent=2) + "\n"
