"""The child as a process of its own (tests/integration/child.py) that dies at an exact step.

A step is something that the main thread is about to do to a handler's files, or a program that it
is about to start: CPython tells of each beforehand (audit events). All steps are written down.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Optional

from tests.integration import child
from waagent.core.system import System

HANDLERS = "Fabric."
_PROCESSES = re.compile(r"/proc/(\d+(/.*)?|sys/kernel/random/boot_id)")
_TEMPORARY = re.compile(r"\.(\w[^/]*)\.[0-9a-f]{12}")
_STAGED = re.compile(r"\.unpacked\.\w+")
_WRITES = os.O_WRONLY | os.O_RDWR


class FolderWithProcesses(System):
    """A folder that stands for a machine, but its processes are this machine's."""

    def path(self, absolute: str) -> Path:
        """See ``Rooted.path``."""
        return Path(absolute) if _PROCESSES.fullmatch(absolute) else super().path(absolute)


class Steps:
    """Writes down each step, and ends the process before one of them."""

    def __init__(self, root: Path, last: Optional[int]) -> None:
        self._lib = f"{root}/var/lib/waagent/"
        self._log = os.open(root / "steps", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._last = last
        self._count = 0
        self._is_inside = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if self._is_inside or threading.current_thread() is not threading.main_thread():
            return
        self._is_inside = True
        try:
            step = self._describe(event, arguments)
            if step is not None:
                self._note(step)
        finally:
            self._is_inside = False

    def _note(self, step: str) -> None:
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1
        os.write(self._log, f"{step}\n".encode())

    def _describe(self, event: str, arguments: tuple[Any, ...]) -> Optional[str]:
        if event == "subprocess.Popen":
            line = str(arguments[1][-1])
            return f"run {line.rpartition('/')[2]}" if HANDLERS in line else None
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & _WRITES or flags & os.O_DIRECTORY:
                return None
            return self._step("write", path)
        if event in {"os.mkdir", "os.remove", "os.rmdir"}:
            return self._step(event.partition(".")[2], arguments[0], arguments[-1])
        if event == "os.rename":
            return self._renaming(*arguments)
        return None

    def _renaming(self, source: Any, target: Any, _from: int, _to: int) -> Optional[str]:
        before, after = self._name(source), self._name(target)
        if before is None or after is None:
            return None
        if after.endswith("HandlerState"):
            return f"note {after} = {Path(os.fspath(source)).read_text(encoding='utf-8')}"
        return f"rename {before} to {after}"

    def _step(self, verb: str, path: Any, folder: int = -1) -> Optional[str]:
        name = self._name(path, folder)
        return None if name is None else f"{verb} {name}"

    def _name(self, path: Any, folder: int = -1) -> Optional[str]:
        if isinstance(path, int):
            return None
        text = os.fsdecode(path)
        if folder >= 0:
            text = str(Path(f"/proc/self/fd/{folder}").readlink() / text)
        if not text.startswith(self._lib):
            return None
        name = text[len(self._lib) :]
        if not name.lstrip(".").startswith(HANDLERS):
            return None
        return _STAGED.sub(".unpacked~", _TEMPORARY.sub(r"~\1", name))


def main(root: Path, addresses: str, last: str) -> int:
    """Run to the end, or to a step."""
    (root / "agent.pid").write_text(str(os.getpid()), encoding="ascii")
    sys.addaudithook(Steps(root, int(last) if last else None))
    book = {key: (host, port) for key, (host, port) in json.loads(addresses).items()}
    return child.main(root, book, FolderWithProcesses)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
