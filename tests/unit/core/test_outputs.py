"""Files that commands of others write to: small, also when their services go on and on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from waagent.core.clock import SystemClock
from waagent.core.outputs import KEPT, LARGEST, Outputs

START = 100


@pytest.fixture
def outputs() -> Iterator[Outputs]:
    """Outputs of which a hundred bytes are read; all of them are forgotten in the end."""
    made = Outputs(START)
    yield made
    made.tend()


def open_files() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def on_disk(descriptor: int) -> int:
    """What a file takes."""
    return os.fstat(descriptor).st_blocks * 512


def test_start_of_what_was_written_is_read(outputs: Outputs, tmp_path: Path) -> None:
    """Each stream has its own file, and neither has a name."""
    with outputs.pair(tmp_path) as (out, err):
        subprocess.run(
            ["sh", "-c", "printf 'a%0200d' 1; printf 'b\\377' >&2"],
            stdout=out,
            stderr=err,
            check=True,
        )
        assert outputs.text(out) == f"a{'0' * 99}"
        assert outputs.text(err) == "b\\xff"
        assert list(tmp_path.iterdir()) == []


def test_files_that_nobody_has_open_are_forgotten(outputs: Outputs, tmp_path: Path) -> None:
    """After every command, but for those of its services."""
    before = open_files()
    for _ in range(5):
        with outputs.pair(tmp_path) as (out, err):
            subprocess.run(["true"], stdout=out, stderr=err, check=True)
    outputs.tend()
    assert open_files() == before


def test_service_that_writes_for_ever_does_not_fill_the_disk(
    outputs: Outputs, tmp_path: Path
) -> None:
    """Nobody sees that file, and no rotation knows it; the service goes on."""
    clock = SystemClock()
    with outputs.pair(tmp_path) as (out, err):
        service = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out, stderr=err)
        watched = os.open(f"/proc/self/fd/{out.fileno()}", os.O_RDONLY)
    try:
        assert service.stdin is not None
        for _ in range(3):
            service.stdin.write(b"x" * (LARGEST + 1_000_000))
            service.stdin.flush()
            assert any(on_disk(watched) > LARGEST or clock.wait(None, 0.01) for _ in range(2000))
            outputs.tend()
            assert on_disk(watched) < LARGEST
        assert service.poll() is None
    finally:
        os.close(watched)
        service.kill()
        service.communicate()


def test_services_beyond_number_cost_no_descriptors(outputs: Outputs, tmp_path: Path) -> None:
    """Of too many the oldest are no longer looked after."""
    before = open_files()
    with subprocess.Popen(["sleep", "60"]) as service:
        for _ in range(KEPT):
            with outputs.pair(tmp_path):
                pass
        assert open_files() <= before + KEPT
        service.kill()
