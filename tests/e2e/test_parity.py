"""What our agent sends and leaves behind is what the recorded one did, but for docs/parity.md.

One machine lives through all that was recorded, other machines are set up with other media; then
each recording is compared. Order between threads, repeats and the choice of mirror are free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.demo.guest import Guest
from tests.e2e import boots, calls, listing, looks, parity
from tests.e2e.cuts import PERIODIC, Kept
from tests.e2e.story import LAST_UNRECORDED, Story
from tests.fabric import ECHO, first_boot, golden
from tests.fabric.golden import Record

pytestmark = pytest.mark.root

FOLDER = Path(__file__).resolve().parents[1] / "data/golden"
RECORDED = sorted(p.stem for p in FOLDER.glob("*.jsonl") if not p.stem.startswith("cgroups-"))
# Their requests were not kept apart: they are those of the first recording.
LIKE_THE_FIRST = {"key-only": "01-provision", "password-only": "01-provision"}
WIRE = [*RECORDED, *LIKE_THE_FIRST, "story"]
LISTED = sorted(p.stem for p in FOLDER.glob("*files-*.txt") if not p.stem.startswith("cgroups-"))
LISTINGS = [*LISTED, "no-agent"]
FACTS = ("provision", "key-only", "password-only", "autoupdate")
METRIC = "4"
USER_LINE = "azureuser ALL=(ALL) ALL"


@pytest.fixture(scope="module")
def kept() -> Kept:
    """What all the machines sent and left behind; they live at the same time, to save it."""
    told = Kept()
    wish = boots.media()  # before any thread: its certificates are made once
    quick = (boots.boot_with_key_only, boots.boot_with_password_only, boots.boot_without_agent)
    with ThreadPoolExecutor(1) as beside:
        later = [beside.submit(boot) for boot in (boots.boot_with_updates, *quick)]
        with Guest(first_boot(), wish, conf=boots.QUICK) as guest:
            story = Story(guest)
            story.play()
            guest.fabric.assert_clean()
        for one in (story.kept, *(waiting.result() for waiting in later)):
            told.add(one)
    return told


def recorded(name: str) -> list[Record]:
    """The requests of a recording that belong to its step; of all, those that belong to none."""
    if name != "story":
        records = golden.load(FOLDER / f"{LIKE_THE_FIRST.get(name, name)}.jsonl")
        return [record for record in records if record["endpoint"] not in PERIODIC]
    return [
        record
        for one in RECORDED
        for record in golden.load(FOLDER / f"{one}.jsonl")
        if record["endpoint"] in PERIODIC
    ]


def whatever_the_hour(records: Iterable[Record]) -> Iterator[Record]:
    """Without what is sent by chance only, since a machine lives here for less than a minute or so.

    Memory is measured a minute after a start: `tests/unit/monitor/test_resources.py` compares those
    events with the recorded ones. Signals of failures are posted once a minute: the recording has
    none of those that its own faults caused.
    """
    for record in records:
        observations = record.get("body_json", {}).get("Observations", ())
        if any(observation["Value"] for observation in observations):
            continue
        if "body_events" in record:
            body = record["body_events"]
            events = [event for event in body["events"] if event["id"] != METRIC]
            yield {**record, "body_events": {**body, "events": events}}
        else:
            yield record


def wire_differences(kept: Kept, name: str) -> list[tuple[str, ...]]:
    """Each field of each endpoint that is not the same."""
    theirs, ours = (whatever_the_hour(side) for side in (recorded(name), kept.records[name]))
    return parity.as_findings(name, golden.differences(theirs, ours))


def file_differences(kept: Kept, name: str) -> list[tuple[str, ...]]:
    """Each path that is not the same."""
    if name == "no-agent":  # only the names were kept
        theirs = listing.as_listing(recorded_facts(name)["no_agent"]["files"])
    else:
        theirs = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return listing.compare(name, theirs, kept.listings[name])


def recorded_facts(name: str) -> dict[str, Any]:
    """What was read in the recorded guest in one step of its life."""
    own = FOLDER / f"{name}-guest-facts.json"
    path = own if own.exists() else FOLDER / "guest-facts.json"
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def fact_differences(kept: Kept, name: str) -> list[tuple[str, ...]]:
    """Each fact of a machine that was just set up that is not the same."""
    theirs = looks.recorded_look(recorded_facts(name)["provision"])
    ours = kept.facts[name]
    return [(name, fact, theirs[fact], ours[fact]) for fact in theirs if theirs[fact] != ours[fact]]


@pytest.mark.parametrize("name", WIRE)
def test_what_is_sent_is_what_was_recorded_but_for_the_listed_differences(
    kept: Kept, name: str
) -> None:
    assert parity.judge(wire_differences(kept, name), parity.read_rows("On the wire")) == []


def parameter_pairs(records: Iterable[Record]) -> set[tuple[str, str, str]]:
    """Which parameter of an event comes before which, by the event's kind.

    Those that a request's events share stand apart in a record, so whole orders are not known.
    """
    bodies = [record["body_events"] for record in records if "body_events" in record]
    found: set[tuple[str, str, str]] = set()
    for body in bodies:
        for event in body["events"]:
            for names in (list(body["common"]), list(event["params"])):
                found |= {
                    (event["id"], name, later)
                    for n, name in enumerate(names)
                    for later in names[n + 1 :]
                }
    return found


def test_parameters_of_events_stand_in_the_recorded_order(kept: Kept) -> None:
    theirs = parameter_pairs(recorded("story"))
    ours = parameter_pairs(kept.records["story"])
    assert len(theirs & ours) > 100
    assert {(event, later, name) for event, name, later in ours} & theirs == set()


@pytest.mark.parametrize("name", LISTINGS)
def test_what_is_on_the_disk_is_what_was_recorded_but_for_the_listed_differences(
    kept: Kept, name: str
) -> None:
    assert parity.judge(file_differences(kept, name), parity.read_rows("On the disk")) == []


@pytest.mark.parametrize("name", FACTS)
def test_the_machine_is_set_up_as_was_recorded_but_for_the_listed_differences(
    kept: Kept, name: str
) -> None:
    assert parity.judge(fact_differences(kept, name), parity.read_rows("In the machine")) == []


def test_each_row_of_the_tables_still_applies_and_gives_its_reason(kept: Kept) -> None:
    found = {
        "On the wire": [f for name in WIRE for f in wire_differences(kept, name)],
        "On the disk": [f for name in LISTINGS for f in file_differences(kept, name)],
        "In the machine": [f for name in FACTS for f in fact_differences(kept, name)],
    }
    idle = {
        heading: parity.idle_rows(findings, parity.read_rows(heading))
        for heading, findings in found.items()
    }
    assert idle == {heading: [] for heading in found}


def test_extensions_are_called_as_was_recorded_one_after_the_other(kept: Kept) -> None:
    recording = (FOLDER / "extension-calls.txt").read_text(encoding="utf-8")
    theirs = [
        call
        for call in calls.read_calls(recording)
        if calls.number_of(call, f"{ECHO} version=1.1.0") not in LAST_UNRECORDED[:-1]
    ]
    ours = calls.read_calls(kept.facts["whole"]["calls"], nice=os.nice(0))
    assert [call[0] for call in ours] == [call[0] for call in theirs]
    assert ours == theirs


def test_settings_that_extensions_read_are_for_root_alone(kept: Kept) -> None:
    assert calls.settings_modes(kept.facts["whole"]["calls"]) == {"600:root"}


def test_no_request_is_answered_by_gone_after_the_container_moved(kept: Kept) -> None:
    assert recorded_facts("")["container"]["gone_answers"] == []
    assert [r for r in kept.records["11-container"] if r["answer"] == 410] == []


def test_host_name_is_logged_in_the_recorded_words(kept: Kept) -> None:
    lines = recorded_facts("")["hostname"]["log"].replace("oracle", "fabric").splitlines()
    words = [line.partition(" ")[2] for line in lines]
    ours = [line.partition(" ")[2] for line in kept.facts["whole"]["log"].splitlines()]
    assert len(words) == 3
    assert [word for word in words if word not in ours] == []


def test_just_in_time_user_is_lent_and_taken_away_as_was_recorded(kept: Kept) -> None:
    theirs = recorded_facts("")["jit"]["passwd"].splitlines()
    ours = kept.facts["jit"]
    name, _, _, _, comment, home, shell = ours["passwd"].split(":")
    recorded_line = theirs[0].split(":")
    assert [name, comment, home] == [recorded_line[0], *recorded_line[4:6]]
    assert shell.startswith("/bin/")
    assert ours["expires"] == "Jan 01, 2101", "the day after it expires, as was recorded"
    assert ours["sudoers"].split("; ") == theirs[-2:]
    assert ours["afterwards"] == USER_LINE


def test_machine_without_agent_has_its_daemon_alone(kept: Kept) -> None:
    theirs = recorded_facts("no-agent")["no_agent"]["processes"].splitlines()
    assert [line.endswith("-daemon") for line in theirs] == [True]
    assert kept.facts["no-agent"] == {"processes": "-daemon"}


def test_deprovision_warns_in_the_recorded_words_and_forgets_the_name(kept: Kept) -> None:
    theirs = recorded_facts("")["deprovision"]
    ours = kept.facts["deprovision"]
    assert ours["code"] == "0"
    warnings = [line for line in ours["output"].splitlines() if line.startswith("WARNING!")]
    assert warnings == theirs["output"].splitlines()
    assert theirs["hostname"].startswith(ours["hostname"])


def test_each_recording_is_compared(kept: Kept) -> None:
    names = {p.stem for p in FOLDER.glob("*.jsonl") if not p.stem.startswith("cgroups-")}
    assert names | set(LIKE_THE_FIRST) | {"unrecorded", "story"} == set(kept.records)
