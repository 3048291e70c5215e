"""A lib dir that is a disk of its own: filled, emptied, larger or read-only under the agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRIES = 200


class LibDisk:
    """A mounted file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (64 * 1024, 1):
                while _write(descriptor, b"x" * size):
                    pass
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def remount(self, options: str) -> None:
        """Give the file system another size, or make it read-only, once nobody writes there."""
        argv = ["mount", "-o", f"remount,{options}", str(self.folder)]
        for _ in range(TRIES):
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
        raise AssertionError(f"cannot remount {self.folder}: {done.stderr}")


@contextmanager
def lib_disk(root: Path, size: str = "16m") -> Iterator[LibDisk]:
    """The lib dir of the machine in a folder, on a file system of that size; root only."""
    folder = root / "var/lib/waagent"
    folder.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "lib", str(folder)]
    subprocess.run(argv, check=True)
    try:
        yield LibDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _write(descriptor: int, data: bytes) -> bool:
    try:
        return os.write(descriptor, data) > 0
    except OSError:
        return False
