"""What a large package costs the real child: it is fetched, unpacked and run, either way.

`python -m tests.outages package` does so with 500 MB; a test of `make check` with less.
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.fabric import ECHO, Fabric, echo
from tests.outages.real import RealChild

MEBIBYTE = 1024 * 1024
MOST_MORE_KB = 2 * 1024
QUICKLY = "Extensions.GoalStatePeriod=1\n"
DIRECT, BY_HOST = "direct", "through the host"


@dataclass(frozen=True)
class Weight:
    """What the child had in memory before, and at the most while it took a package."""

    way: str
    before_kb: int
    peak_kb: int

    @property
    def more_kb(self) -> int:
        """What the package cost."""
        return self.peak_kb - self.before_kb


def large_package(version: str, size: int) -> bytes:
    """The echo extension with a file of that size, which cannot be compressed."""
    stream = io.BytesIO(echo.package(version))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as packed:
        block = os.urandom(MEBIBYTE)
        with packed.open(zipfile.ZipInfo("payload.bin"), "w", force_zip64=True) as entry:
            for _ in range(size // MEBIBYTE):
                entry.write(block)
    return stream.getvalue()


def weigh(root: Path, size: int, way: str, *, within_s: float = 120.0) -> Weight:
    """Two updates, the first small, so that what any update needs is there; then the large one."""
    with Fabric() as fabric, RealChild(root, fabric, conf=QUICKLY) as child:
        fabric.await_extension(ECHO, seq_no=0, within_s=60)
        if way == BY_HOST:
            fabric.fault("storage.packages", "NOT_FOUND")
        fabric.portal.update_extension(ECHO, version="1.1.0")
        fabric.await_extension(ECHO, seq_no=0, version="1.1.0", within_s=60)
        fabric.platform.publish(ECHO, "1.2.0", large_package("1.2.0", size))
        child.await_turns(1)
        before_kb = child.forget_peak_kb()
        fabric.portal.update_extension(ECHO, version="1.2.0")
        fabric.await_extension(ECHO, seq_no=0, version="1.2.0", within_s=within_s)
        peak_kb = child.peak_kb()
        payload = root / f"var/lib/waagent/{ECHO}-1.2.0/payload.bin"
        assert payload.stat().st_size == size
        asked = len(fabric.journal.entries("hgap.extensionartifact"))
        assert bool(asked) == (way == BY_HOST)
    return Weight(way, before_kb, peak_kb)
