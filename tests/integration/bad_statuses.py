"""Status files that extensions leave behind, damaged or hostile, and what is to be said of each."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from waagent.extensions.status import MAX_FILE

Plant = Callable[[Path], None]


def content(data: bytes) -> Plant:
    """A file with this in it, old enough that nobody is writing it."""

    def plant(path: Path) -> None:
        path.write_bytes(data)
        os.utime(path, (time.time() - 60, time.time() - 60))

    return plant


def link_to(target: str) -> Plant:
    return lambda path: path.symlink_to(target)


def with_socket(path: Path) -> None:
    """A socket's name, as short as the system wants it."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def sized(size: int) -> Plant:
    """A file of that size, which takes no room."""

    def plant(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return plant


def device(path: Path) -> None:
    """A device that never ends."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


def status_of(**members: Any) -> bytes:
    """A status file whose body has these members besides a good word."""
    return json.dumps([{"version": 1.0, "status": {"status": "success", **members}}]).encode()


def message_of(text: Any) -> dict[str, Any]:
    return {"formattedMessage": {"lang": "en-US", "message": text}}


JSON_WRONG = "was in an incorrect format and the agent could not parse it correctly"
NOT_VALID = "Could not get a valid status from the extension"
NOT_READ = "We couldn't read any status"
BAD_FILES: dict[str, tuple[Plant, int, str]] = {
    "garbage": (content(b"garbage"), 1012, JSON_WRONG),
    "binary": (content(bytes(range(256)) * 40), 1012, JSON_WRONG),
    "cut short": (content(status_of()[:40]), 1012, JSON_WRONG),
    "deep": (content(b"[" * 200_000 + b"]" * 200_000), 1012, JSON_WRONG),
    "deep objects": (content(b'{"a":' * 100_000), 1012, JSON_WRONG),
    "invalid UTF-8": (content(b'[{"status": {"status": "\xff\xfe\xc3"}}]'), 1012, JSON_WRONG),
    "a long number": (content(b"[" + b"9" * 100_000 + b"]"), 1012, JSON_WRONG + "|" + NOT_VALID),
    "no list": (content(b"{}"), 1012, NOT_VALID),
    "a list of numbers": (content(b"[7]"), 1012, NOT_VALID),
    "no status": (content(b'[{"status": {}}]'), 1012, NOT_VALID),
    "substatus of another shape": (content(status_of(substatus=7)), 1012, NOT_VALID),
    "message of another shape": (content(status_of(formattedMessage=[1])), 1012, NOT_VALID),
    "UTF-16": (content('[{"status": {"status": "success"}}]'.encode("utf-16")), 1012, JSON_WRONG),
    "two documents": (content(status_of() + b"{}"), 1012, JSON_WRONG),
    "a byte order mark alone": (content(b"\xef\xbb\xbf"), 1012, JSON_WRONG),
    "infinity": (content(b'[{"status": Infinity}]'), 1012, NOT_VALID),
    "a hundred megabytes": (sized(100 << 20), -1, NOT_READ),
    "a little over the largest": (content(b" " * (MAX_FILE + 1)), -1, NOT_READ),
    "a pipe": (os.mkfifo, -1, NOT_READ),
    "a folder": (Path.mkdir, -1, NOT_READ),
    "a socket": (with_socket, -1, NOT_READ),
    "a link to a device": (link_to("/dev/zero"), -1, NOT_READ),
    "a link to itself": (link_to("0.status"), -1, NOT_READ),
    "a link to nowhere": (link_to("nowhere"), 0, "no status file was reported"),
    "a link to nowhere outside": (link_to("/nowhere/at/all"), -1, NOT_READ),
    "a link to the accounts": (link_to("/etc/passwd"), -1, NOT_READ),
    "a link to a folder": (link_to("/etc"), -1, NOT_READ),
    "a link to its own folder": (link_to("."), -1, NOT_READ),
}
if os.geteuid() == 0:
    BAD_FILES["a device"] = (device, -1, NOT_READ)


@contextlib.contextmanager
def planted(path: Path, plant: Plant) -> Iterator[None]:
    """Something else in a file's place while the block runs."""
    good = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    plant(path)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        if good is not None:
            path.write_bytes(good)


HALF = "half \ud800 \udfff of a character \0 and controls \x1b[2J"
WILD: dict[str, bytes] = {
    "long message": status_of(**message_of("m" * (3 << 20))),
    "many substatuses": status_of(
        substatus=[{"name": f"s{n}", "status": "success", **message_of("x")} for n in range(20_000)]
    ),
    "long substatuses": status_of(
        substatus=[{"name": "n" * 50_000, "status": "error", **message_of("y" * 50_000)}] * 20
    ),
    "half characters": status_of(**message_of(HALF), operation=HALF),
    "odd codes": status_of(code=10**400, substatus=[{"status": "success", "code": [1]}]),
    "no number": b'[{"status": {"status": "success", "code": NaN}}]',
    "other types": status_of(**message_of({"a": [1, None]}), operation=7),
    "a byte order mark": b"\xef\xbb\xbf" + status_of(),
    "two elements": b"[" + status_of()[1:-1] + b', {"status": {"status": "error"}}]',
    "twice the same": b'[{"status": {"status": "success", "status": "success"}}]',
}
