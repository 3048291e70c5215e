"""Past goal states on disk, for people: dated folders, and the current documents by name.

Nothing here is ever read back by the agent, and nothing here can stop it. Source: spec WIRE
3.10; the copies in the lib dir are those of 2.2.x (DAEMON 12.4, ARCHITECTURE.md decision 14).
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
from waagent.core.paths import Paths

log = logging.getLogger(__name__)

KEPT = 50
ARCHIVABLE = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}[:-]\d{2}[:-]\d{2}(\.\d+)?((_incarnation)?_+(\d+|status)(-\d+)?)?"
)
PLACEHOLDER = "<xml>empty placeholder file</xml>"
NUMBERED = {
    "GoalState.xml": "GoalState.{}.xml",
    "ExtensionsConfig.xml": "ExtensionsConfig.{}.xml",
}
NAMED = ("HostingEnvironmentConfig.xml", "SharedConfig.xml")

Content = Union[bytes, str]


class History:
    """Writes what a goal state came with; at most one warning for each goal state."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        self._paths = paths
        self._clock = clock
        self._folder: Optional[Path] = None
        self._incarnation = ""

    def begin(self, tag: str, incarnation: str) -> None:
        """Open a folder for a new goal state; the oldest beyond fifty go."""
        self._incarnation = incarnation
        moment = self._clock.now().astimezone(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
        with self._tolerated("begin"):
            files.ensure_directory(self._paths.history, mode=0o700)
            self._purge()
            folder = self._paths.history / f"{moment}__{tag}"
            files.ensure_directory(folder, mode=0o700)
            self._folder = folder

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
        number = self._incarnation
        self._keep(f"waagent.{name}.manifest.xml" if is_agent else f"{name}.manifest.xml", content)
        target = f"{name}.{number}.agentsManifest" if is_agent else f"{name}.{number}.manifest.xml"
        self._write_in_lib(target, content)

    def save_status(self, content: Content) -> None:
        """Keep the status as it was last uploaded."""
        self._keep("waagent_status.json", content)

    def archive(self) -> None:
        """Zip every folder but the newest, and the agent's copies beyond fifty of a kind go."""
        with self._tolerated("archive"):
            entries = [
                entry
                for entry in self._entries()
                if ARCHIVABLE.fullmatch(entry.name.removesuffix(".zip"))
            ]
            for folder in entries[1:]:
                if folder.is_dir():
                    _zip(folder)

    def _keep(self, name: str, content: Content) -> None:
        with self._tolerated(name):
            if self._folder is not None:
                files.write(self._folder / name, content, mode=files.SECRET)

    def _keep_in_lib(self, name: str, content: Content) -> None:
        if name in NUMBERED:
            self._write_in_lib(NUMBERED[name].format(self._incarnation), content)
        elif name in NAMED:
            self._write_in_lib(name, content)
        if name == "GoalState.xml":
            self._write_in_lib("Incarnation", self._incarnation)
            placeholder = self._paths.lib / "GoalState.1.xml"
            if not placeholder.exists():  # other components test for it (WIRE 3.10)
                self._write_in_lib(placeholder.name, PLACEHOLDER)

    def _write_in_lib(self, name: str, content: Content) -> None:
        with self._tolerated(name):
            files.write(self._paths.lib / name, content, mode=files.SECRET)
            kind = re.sub(r"\.\d+\.", ".*.", name)
            if kind != name:
                copies = sorted(self._paths.lib.glob(kind), key=_age)
                excess = [copy for copy in copies[:-KEPT] if copy.name != "GoalState.1.xml"]
                for copy in excess:
                    files.remove(copy)

    def _entries(self) -> list[Path]:
        """All entries, newest first."""
        return sorted(self._paths.history.iterdir(), key=_age, reverse=True)

    def _purge(self) -> None:
        for entry in self._entries()[KEPT - 1 :]:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                files.remove(entry)

    @contextlib.contextmanager
    def _tolerated(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, GuestError) as error:
            log.warning("Cannot keep %s in the history: %s", what, describe(error))


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.lstat().st_ctime, path.name
    except FileNotFoundError:
        return 0.0, path.name


def _zip(folder: Path) -> None:
    partial = folder.with_name(folder.name + ".zip.tmp")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in sorted(folder.iterdir()):
            archive.write(item, item.name)
    partial.chmod(files.SECRET)
    partial.replace(folder.with_name(folder.name + ".zip"))
    shutil.rmtree(folder)
