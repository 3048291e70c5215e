"""The emulator must accept every request that a real agent was recorded to send."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.replay import Replay
from tests.fabric import Fabric
from tests.fabric.golden import load

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
LIVES = {
    "main": sorted(GOLDEN.glob("[0-9]*.jsonl")),
    "autoupdate": sorted(GOLDEN.glob("autoupdate-*.jsonl")),
    "cgroups": sorted(GOLDEN.glob("cgroups-*.jsonl")),
    "no-agent": sorted(GOLDEN.glob("no-agent-*.jsonl")),
}


@pytest.mark.parametrize("life", sorted(LIVES))
def test_every_recorded_request_is_accepted_and_answered_as_recorded(life: str) -> None:
    records = [(path.name, record) for path in LIVES[life] for record in load(path)]
    assert records
    following = [record for _, record in records[1:]] + [None]
    with Fabric() as fabric:
        replay = Replay(fabric)
        wrong = []
        for number, ((name, record), upcoming) in enumerate(zip(records, following), start=1):
            reply = replay.play(record, upcoming)
            if reply.status != record["answer"]:
                wrong.append(f"{name}: {number} {record['url']}: {reply.status} {reply.body!r}")
        assert not wrong, "\n".join(wrong)
        assert len(fabric.journal.entries()) == len(records)


def test_the_recordings_are_all_replayed() -> None:
    replayed = {path for paths in LIVES.values() for path in paths}
    assert replayed == set(GOLDEN.glob("*.jsonl"))
