"""A machine's processes in a folder: the kernel's words about real ones, copied to there."""

from __future__ import annotations

from pathlib import Path

_BOOT = "proc/sys/kernel/random/boot_id"


def show_process(root: Path, pid: int) -> None:
    """Let the machine in the folder have that process as it is now; one that is gone has no entry.

    Everything is the kernel's own words.
    """
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    boot = root / _BOOT
    boot.parent.mkdir(parents=True, exist_ok=True)
    boot.write_bytes(Path("/", _BOOT).read_bytes())
    try:
        (folder / "stat").write_bytes(Path(f"/proc/{pid}/stat").read_bytes())
    except FileNotFoundError:
        (folder / "stat").unlink(missing_ok=True)
        folder.rmdir()
