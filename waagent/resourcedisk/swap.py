"""The swap file on the resource disk: made once, of exactly its size, and switched on.

Only our own file is ever switched off or removed. Source: spec DAEMON 2.5.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from typing import Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.system import System
from waagent.resourcedisk import usage
from waagent.resourcedisk.errors import ResourceDiskError
from waagent.resourcedisk.partition import attempt, one_line

log = logging.getLogger(__name__)

NAME = "swapfile"
BESIDE = ".swapfile.waagent"
"""The file until it is complete: one of the right name without a signature is somebody's."""
MIB = 1024 * 1024
BLOCK = 4 * MIB
SYNC_EVERY = 64 * MIB
WRITE_WITHIN_S = 1800.0
SWITCH_WITHIN_S = 300.0
ALLOCATES = ("ext4", "xfs", "btrfs")
"""File systems that can set space aside at once. The kernel swaps to it; where it is too old for
that, the file is written out. Elsewhere (ext3, vfat) it always is."""
_SIGNATURES = (b"SWAPSPACE2", b"SWAP-SPACE")
_PAGES = (4096, 8192, 16384, 65536)


def ensure_swap(context: Context, point: str, size_mb: int) -> None:
    """Swap to a file of that size on the disk mounted there; raises ``ResourceDiskError``."""
    if size_mb <= 0:
        raise ResourceDiskError(
            f"Invalid swap size [{size_mb}]: ResourceDisk.SwapSizeMB must be above 0"
        )
    _SwapFile(context, point, size_mb * MIB).ensure()


class _SwapFile:
    """The swap file of one mount point."""

    def __init__(self, context: Context, point: str, size: int) -> None:
        self._context = context
        self._system: System = context.system
        self._point = point
        self._size = size
        self._name = f"{point.rstrip('/')}/{NAME}"
        self._path = context.system.path(point) / NAME
        self._beside = self._path.with_name(BESIDE)

    def ensure(self) -> None:
        """Have it, and have it in use."""
        self._refuse_open_folder()
        files.remove(self._beside)
        found = self._look()
        if found is not None and self._is_active() and found.st_size == self._size:
            log.info("Swap already enabled")
            self._close_mode(found)
            return
        if found is not None and found.st_size != self._size:
            self._remove()
            found = None
        if found is not None:
            self._close_mode(found)
            if self._switch_on():
                return
            log.info("The old swap file cannot be used, making it anew")
            self._remove()
        self._make()

    def _refuse_open_folder(self) -> None:
        """Whoever may write there could put another file under its name."""
        state = self._path.parent.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            raise ResourceDiskError(
                f"cannot make a swap file in {self._point}: others than root may write there;"
                ' run "chown root: ... && chmod go-w ..." on it'
            )

    def _look(self) -> Optional[os.stat_result]:
        """The file of that name; raises for one that is not ours."""
        try:
            state = self._path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1 or not self._has_signature():
            raise ResourceDiskError(
                f"cannot make a swap file: {self._name} is there and is no swap file;"
                " move it away and restart the agent"
            )
        return state

    def _has_signature(self) -> bool:
        with self._path.open("rb") as stream:
            for page in _PAGES:
                stream.seek(page - 10)
                if stream.read(10) in _SIGNATURES:
                    return True
        return False

    def _is_active(self) -> bool:
        return any(swap.path == self._name for swap in usage.read_swaps(self._system))

    def _close_mode(self, state: os.stat_result) -> None:
        mode = stat.S_IMODE(state.st_mode)
        if mode & 0o077:
            log.info("Changing mode of %s to %o", self._name, mode & ~0o077)
            self._path.chmod(mode & ~0o077)

    def _remove(self) -> None:
        log.info("Remove old swap file")
        if self._is_active():
            result = attempt(self._system, "swapoff", self._name, timeout_s=SWITCH_WITHIN_S)
            if self._is_active():
                raise ResourceDiskError(
                    f"cannot switch off {self._name}: [{result.code}] {one_line(result)};"
                    " it stays in use with its old size"
                )
        self._path.unlink()

    def _switch_on(self) -> bool:
        result = attempt(self._system, "swapon", self._name, timeout_s=SWITCH_WITHIN_S)
        if result.ok:
            log.info("Enabled %dKB of swap at %s", self._size // 1024, self._name)
        else:
            log.info("Cannot swap to %s: %s", self._name, one_line(result))
        return result.ok

    def _make(self) -> None:
        log.info("Create swap file")
        filesystem = self._filesystem()
        self._refuse_small_disk()
        if filesystem in ALLOCATES and self._create(filesystem, is_written=False):
            if self._switch_on():
                return
            log.info("fallocate unsuccessful, falling back to writing zeros")
            self._path.unlink()
        self._create(filesystem, is_written=True)
        if not self._switch_on():
            raise ResourceDiskError(f"cannot swap to {self._name}; is {filesystem} able to?")

    def _create(self, filesystem: str, *, is_written: bool) -> bool:
        """Make the file with a signature; whether its space could be had in that way."""
        with self._beside_file() as descriptor:
            if filesystem == "btrfs":
                self._switch_copying_off()
            if is_written:
                self._write_zeros(descriptor)
            else:
                try:
                    os.posix_fallocate(descriptor, 0, self._size)
                except OSError as error:
                    log.info("Cannot set space aside for %s: %s", self._name, error.strerror)
                    return False
            os.fsync(descriptor)
            name = f"{self._point.rstrip('/')}/{BESIDE}"
            result = attempt(self._system, "mkswap", name, timeout_s=SWITCH_WITHIN_S)
            if not result.ok:
                raise ResourceDiskError(
                    f"cannot make {self._name} a swap file: [{result.code}] {one_line(result)}"
                )
            self._beside.rename(self._path)
        return True

    @contextlib.contextmanager
    def _beside_file(self) -> Iterator[int]:
        """A new file, 0600 before it has a byte; gone at the end unless it was renamed."""
        files.remove(self._beside)
        how = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._beside, how, files.SECRET)
        try:
            os.fchmod(descriptor, files.SECRET)
            yield descriptor
        finally:
            os.close(descriptor)
            files.remove(self._beside)

    def _switch_copying_off(self) -> None:
        """btrfs swaps only to what it does not copy on write, which only an empty file becomes."""
        name = f"{self._point.rstrip('/')}/{BESIDE}"
        result = attempt(self._system, "chattr", "+C", name, timeout_s=SWITCH_WITHIN_S)
        if not result.ok:
            raise ResourceDiskError(
                f"cannot make a swap file on btrfs: chattr +C says [{result.code}]"
                f" {one_line(result)}"
            )

    def _write_zeros(self, descriptor: int) -> None:
        clock = self._system.clock
        deadline = clock.monotonic() + WRITE_WITHIN_S
        zeros = bytes(BLOCK)
        written = synced = 0
        while written < self._size:
            written += os.write(descriptor, zeros[: self._size - written])
            if written - synced >= SYNC_EVERY:
                os.fdatasync(descriptor)
                synced = written
            if self._context.stop.is_set():
                raise ResourceDiskError("cannot finish the swap file: the agent is told to stop")
            if clock.monotonic() > deadline:
                raise ResourceDiskError(
                    f"cannot write a swap file within {WRITE_WITHIN_S:g} s: the disk is too slow"
                )

    def _filesystem(self) -> str:
        mounts = usage.read_mounts(self._system)
        found = [mount.kind for mount in mounts if str(mount.point) == self._point]
        if not found:
            raise ResourceDiskError(f"cannot make a swap file: nothing is mounted at {self._point}")
        return found[-1]

    def _refuse_small_disk(self) -> None:
        state = os.statvfs(self._path.parent)
        free = state.f_bavail * state.f_frsize
        if free < self._size:
            raise ResourceDiskError(
                f"cannot make a swap file of {self._size // MIB} MiB: {self._point} has"
                f" {free // MIB} MiB free; change ResourceDisk.SwapSizeMB"
            )
