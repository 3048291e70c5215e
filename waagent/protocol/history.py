"""Past goal states on disk, for people: dated folders, and the current documents by name.

Nothing here is ever read back by the agent, and nothing here can stop it. All of it is bounded by
count, bytes and age, whatever becomes of goal states. Source: spec WIRE 3.10; the copies in the
lib dir are those of 2.2.x (DAEMON 12.4, ARCHITECTURE.md decision 14).
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timezone
from pathlib import Path
from typing import Optional, Union

from waagent.core import files
from waagent.core.clock import Clock
from waagent.core.errors import GuestError, describe
from waagent.core.later import Later
from waagent.core.paths import Paths
from waagent.protocol.expiry import Bounds, age_key, measure, surplus

log = logging.getLogger(__name__)

KEPT = 50
MOST_BYTES = 64 * 1024 * 1024
MOST_COPY_BYTES = 32 * 1024 * 1024
OLDEST_S = 180 * 24 * 3600.0
EXPIRE_EVERY_S = 3600.0
ARCHIVABLE = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}[:-]\d{2}[:-]\d{2}(\.\d+)?((_incarnation)?_+(\d+|status)(-\d+)?)?"
)
PLACEHOLDER_NAME = "GoalState.1.xml"
PLACEHOLDER = "<xml>empty placeholder file</xml>"
NUMBERED = {
    "GoalState.xml": ("GoalState.", ".xml"),
    "ExtensionsConfig.xml": ("ExtensionsConfig.", ".xml"),
}
STATUS = "waagent_status.json"
NAMED = ("HostingEnvironmentConfig.xml", "SharedConfig.xml")
# 2.15 takes all of these for the agent's own, and deletes them at its start (WIRE 3.10).
_COPY = re.compile(r"(?P<kind>.+)\.(?P<number>\d+)(?P<tail>\.xml|\.manifest\.xml|\.agentsManifest)")
_NOT_WRITTEN = re.compile(r"(VmSettings|waagent_status)\.\d+\.json|RemoteAccess(\.\d+)?\.xml")
_LONGEST_TAG = 100

COPY_BOUNDS = Bounds(KEPT, MOST_COPY_BYTES, OLDEST_S)

Content = Union[bytes, str]


class History:
    """Writes what a goal state came with; at most one warning for each goal state."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        self._paths = paths
        self._clock = clock
        self._folder: Optional[Path] = None
        self._tag = ""
        self._incarnation = ""
        self._has_warned = False
        self._expiry = Later(clock, first_s=EXPIRE_EVERY_S, most_s=EXPIRE_EVERY_S)

    def expire(self) -> None:
        """Remove what is past its bounds, once an hour and at the start.

        Not only with a new goal state: a machine that gets none any more has its disk filled too.
        """
        if not self._expiry.is_due:
            return
        self._expiry.postpone()
        with self._tolerated("past goal states"):
            if self._paths.history.is_dir():
                self._purge(KEPT)
        with self._tolerated("copies of past goal states"):
            self._expire_copies()

    def begin(self, tag: str, incarnation: str) -> None:
        """Open a folder for a goal state; the oldest beyond fifty go.

        A goal state that is fetched again, because something was wrong with it, gets its folder
        again: else it would push the others out within minutes.
        """
        self._incarnation = incarnation
        if tag == self._tag and self._folder is not None and self._folder.is_dir():
            return
        self._has_warned = False
        self._tag, self._folder = tag, self._open_folder(tag)

    def save(self, documents: Mapping[str, Content], *, redacted: Mapping[str, Content]) -> None:
        """Keep documents under their names: ``redacted`` in the folder, whole in the lib dir.

        The whole ones are for the commands that people's notes have, and are 0600.
        """
        for name, content in {**documents, **redacted}.items():
            self._keep(name, content)
        for name, content in documents.items():
            self._keep_in_lib(name, content)

    def save_manifest(self, name: str, content: Content, *, is_agent: bool = False) -> None:
        """Keep an extension's or an agent family's manifest."""
        self._keep(f"waagent.{name}.manifest.xml" if is_agent else f"{name}.manifest.xml", content)
        tail = ".agentsManifest" if is_agent else ".manifest.xml"
        self._keep_numbered(f"{name}.", tail, content)

    def save_unreadable(self, tag: str, documents: Mapping[str, Content]) -> None:
        """Keep what could not be read in a folder of its own."""
        folder = self._open_folder(tag)
        if folder is not None:
            for name, content in documents.items():
                with self._tolerated(name):
                    files.write(folder / name, content, mode=files.SECRET)

    @property
    def lacks_status(self) -> bool:
        """Whether the folder of the goal state in force has no status yet."""
        return self._folder is not None and not (self._folder / STATUS).exists()

    def save_status(self, content: Content) -> bool:
        """Keep the status as it was last uploaded; whether it is kept."""
        return self._keep(STATUS, content)

    def archive(self) -> None:
        """Zip every folder but the newest."""
        with self._tolerated("past goal states"):
            entries = [
                entry
                for entry in self._entries()
                if ARCHIVABLE.fullmatch(entry.name.removesuffix(".zip"))
            ]
            for folder in entries[1:]:
                if folder.is_dir() and folder != self._folder:
                    _zip(folder)

    def _keep(self, name: str, content: Content) -> bool:
        with self._tolerated(name):
            if self._folder is not None:
                files.write(self._folder / name, content, mode=files.SECRET)
                return True
        return False

    def _open_folder(self, tag: str) -> Optional[Path]:
        moment = self._clock.now().astimezone(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
        folder = self._paths.history / f"{moment}__{_safe(tag)}"
        with self._tolerated("a goal state"):
            files.ensure_directory(self._paths.history, mode=0o700)
            self._purge(KEPT - 1)
            files.ensure_directory(folder, mode=0o700)
        return folder if folder.is_dir() else None

    def _keep_in_lib(self, name: str, content: Content) -> None:
        if name in NUMBERED:
            self._keep_numbered(*NUMBERED[name], content)
        elif name in NAMED:
            self._write_in_lib(name, content)
        if name == "GoalState.xml":
            self._write_in_lib("Incarnation", self._incarnation)
            if not (self._paths.lib / PLACEHOLDER_NAME).exists():
                self._write_in_lib(PLACEHOLDER_NAME, PLACEHOLDER)  # others test for it (WIRE 3.10)

    def _keep_numbered(self, head: str, tail: str, content: Content) -> None:
        """Write the copy of this incarnation; of such copies the newest fifty stay."""
        if not self._incarnation.isdecimal():
            return  # the fabric's are numbers; others could not be told from people's own files
        self._write_in_lib(f"{head}{self._incarnation}{tail}", content)
        kind = re.compile(rf"{re.escape(head)}\d+{re.escape(tail)}")
        with self._tolerated(f"copies of {head}N{tail}"):
            copies = [each for each in self._paths.lib.iterdir() if kind.fullmatch(each.name)]
            self._remove_surplus(copies)

    def _expire_copies(self) -> None:
        """Of each kind the newest stays whatever its age; what is written no more goes."""
        kinds: dict[tuple[str, str], list[Path]] = {}
        for path in self._paths.lib.iterdir():
            match = _COPY.fullmatch(path.name)
            if _NOT_WRITTEN.fullmatch(path.name):
                if not path.is_dir():
                    files.remove(path)
            elif match is not None and not path.is_dir():
                kinds.setdefault((match["kind"], match["tail"]), []).append(path)
        for copies in kinds.values():
            self._remove_surplus(copies)

    def _remove_surplus(self, copies: list[Path]) -> None:
        entries = list(measure(copies))
        newest = max(entries, key=age_key, default=None)
        stays = [self._paths.lib / PLACEHOLDER_NAME]
        if newest is not None:
            stays.append(newest.path)
        for entry in surplus(entries, COPY_BOUNDS, now_s=self._now_s(), stays=stays):
            files.remove(entry.path)

    def _write_in_lib(self, name: str, content: Content) -> None:
        with self._tolerated(name):
            files.write(self._paths.lib / name, content, mode=files.SECRET)

    def _entries(self) -> list[Path]:
        """All entries, newest first."""
        return sorted(self._paths.history.iterdir(), key=_age, reverse=True)

    def _purge(self, count: int) -> None:
        stays = [self._folder] if self._folder is not None else []
        bounds = Bounds(count, MOST_BYTES, OLDEST_S)
        entries = list(measure(self._paths.history.iterdir()))
        for entry in surplus(entries, bounds, now_s=self._now_s(), stays=stays):
            if entry.path.is_dir() and not entry.path.is_symlink():
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                files.remove(entry.path)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    @contextlib.contextmanager
    def _tolerated(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, GuestError) as error:
            if not self._has_warned:
                log.warning("Cannot keep %s in the history: %s", what, describe(error))
            self._has_warned = True


def _safe(tag: str) -> str:
    """The tag as part of a folder's name: an ETag is whatever the host sends."""
    return re.sub(r"[^\w.-]", "_", tag, flags=re.ASCII)[:_LONGEST_TAG]


def _age(path: Path) -> tuple[int, str]:
    try:
        return path.lstat().st_ctime_ns, path.name
    except FileNotFoundError:
        return 0, path.name


def _zip(folder: Path) -> None:
    finished = folder.with_name(folder.name + ".zip")
    if not finished.exists():  # else a kill came between the archive and the end of its folder
        partial = folder.with_name(folder.name + ".zip.tmp")
        try:
            _write_archive(folder, partial)
            partial.chmod(files.SECRET)
            partial.replace(finished)
        except OSError:
            files.remove(partial)
            raise
    shutil.rmtree(folder)


def _write_archive(folder: Path, target: Path) -> None:
    # Not strict: a machine whose clock stood before 1980 has files that a zip cannot date.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for item in sorted(folder.iterdir()):
            archive.write(item, item.name)
