"""Linux namespaces without a helper program: made, entered and left by threads of this process.

A network namespace belongs to a thread. What a thread opens there stays there, so that servers of
the fabric can live in one while the rest of the process stays where it was.
"""

from __future__ import annotations

import ctypes
import os
import queue
import subprocess
import threading
import time
from typing import Callable, TypeVar, Union

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
LINK_WITHIN_S = 10.0

Answer = TypeVar("Answer")
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own."""
    _check(_libc.unshare(flags), "unshare")


def enter(descriptor: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into a namespace."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """The system call; the program of that name may not be there, and asks too much."""
    code = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _check(code, f"mount {kind or source} at {target}")


def unmount_lazily(target: str) -> None:
    """Take a mount away now, though something may still use it."""
    _check(_libc.umount2(target.encode(), 2), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root of everything in this mount namespace."""
    _check(_libc.pivot_root(new.encode(), old.encode()), f"pivot_root to {new}")


def _check(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")


def await_link(show: Callable[[], str]) -> None:
    """Wait until `ip -brief link show` of an interface says that it carries what is sent.

    The kernel says so a moment after both ends are up; what is sent before is lost.
    """
    limit = time.monotonic() + LINK_WITHIN_S
    while " UP " not in show():
        if time.monotonic() > limit:
            raise OSError(f"cannot use the link, it is down after {LINK_WITHIN_S:g} s: {show()}")
        threading.Event().wait(0.02)


class NetworkNamespace:
    """A network of its own, which is gone once nothing uses it."""

    def __init__(self) -> None:
        self.descriptor = _in_thread(_make_network)

    def call(self, work: Callable[[], Answer]) -> Answer:
        """Do something in there; threads and processes that it starts stay there."""

        def inside() -> Answer:
            enter(self.descriptor)
            return work()

        return _in_thread(inside)

    def run(self, *argv: str) -> str:
        """Run a command in there and return what it printed; `OSError` if it fails."""
        done = self.call(lambda: _run(argv))
        if done.returncode:
            raise OSError(f"cannot run {' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def _run(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _make_network() -> int:
    unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(work: Callable[[], Answer]) -> Answer:
    results: queue.SimpleQueue[Union[tuple[Answer], BaseException]] = queue.SimpleQueue()

    def attempt() -> None:
        try:
            results.put((work(),))
        except BaseException as e:  # noqa: BLE001  raised again in the thread that asked
            results.put(e)

    thread = threading.Thread(target=attempt, name="namespace")
    thread.start()
    thread.join()
    result = results.get()
    if isinstance(result, BaseException):
        raise result
    return result[0]
