"""The daemon stays for years: what it has in memory when the boot is over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.daemon.process import DaemonProcess

PACKAGES = {"lxml", "cryptography", "asn1crypto", "psutil", "pyudev"}
LARGE = {"ssl", "http", "email", "asyncio", "concurrent", "xml", "urllib.request"}
LARGE |= {"hashlib", "tempfile", "shutil", "random", "zipfile", "ctypes", "difflib", "uuid"}
MOST_MORE_KB = 8 * 1024
"""Private memory beyond that of a bare interpreter."""


def memory_kb(pid: int) -> dict[str, int]:
    """Resident, proportional and private memory of a process."""
    totals: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, value = line.split(":")
        totals[name] = int(value.split()[0])
    private = totals["Private_Clean"] + totals["Private_Dirty"]
    return {"rss": totals["Rss"], "pss": totals["Pss"], "private": private}


def bare_kb() -> dict[str, int]:
    """The same of an interpreter that does nothing."""
    code = "import signal; print('ready', flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        return memory_kb(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_daemon_keeps_nothing_of_what_the_boot_needed(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, boots=["heavy"]) as daemon:
        daemon.until("is successfully running")
        used = memory_kb(daemon.pid)
        threads = len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))
        daemon.end()
    loaded = set((tmp_path / "modules").read_text().splitlines())
    bare = bare_kb()
    print(f"\nthe daemon: {used} kB; a bare interpreter: {bare} kB; {len(loaded)} modules")
    assert {name.split(".")[0] for name in loaded} & PACKAGES == set()
    assert LARGE & loaded == set()
    assert "waagent.protocol" not in loaded
    assert "waagent.provisioning" not in loaded
    assert threads == 1
    assert used["private"] < bare["private"] + MOST_MORE_KB
