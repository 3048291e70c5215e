"""Which version of a handler, and how its package gets into place.

A package is unpacked beside its folder and then moved in file by file, so that what the handler
keeps there (``mrseq``, statuses, its state) outlives a second attempt, and a kill at any point
leaves nothing half written. Source: spec EXT 3.1 to 3.5.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional, Protocol

from waagent.core import archive, clearing, files
from waagent.core.errors import AgentError, GuestError, HttpError
from waagent.core.records import dataclass
from waagent.core.version import Version
from waagent.extensions.codes import ExtensionCode, ExtensionError, GoalStateFault, PackageError
from waagent.extensions.home import HandlerHome
from waagent.extensions.manifest import (
    MANIFEST,
    HandlerManifest,
    find_manifest,
    parse_handler_manifest,
    read_bounded,
)
from waagent.extensions.settings import ensure_environment
from waagent.protocol.documents.handlers import Handler, RequestedState
from waagent.protocol.documents.manifest import Manifest, Package, parse_manifest

log = logging.getLogger(__name__)

STAGED = ".unpacked"
DOOMED = ".removed"
MOST_SHOWN = 5
_BOM = b"\xef\xbb\xbf"
_HOPELESS = {
    errno.EIO,
    errno.ENOMEM,
    errno.ENFILE,
    errno.EMFILE,
    errno.ENOSPC,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EREMOTEIO,
}


class Downloads(Protocol):
    """Where manifests and packages come from: the protocol's channels, or a test's."""

    def fetch_text(self, uris: Sequence[str], what: str) -> bytes:
        """A document from any of the URIs; raises ``HttpError``."""

    def fetch_package(self, uris: Sequence[str], target: Path, use: Callable[[Path], None]) -> None:
        """Download to ``target``, ``use`` it and remove it; the next URI if ``use`` fails."""


@dataclass(frozen=True)
class Choice:
    """The version that is worked on; removal needs no package."""

    version: str
    package: Optional[Package]


def fetch_manifest(downloads: Downloads, handler: Handler) -> tuple[Manifest, bytes]:
    """What versions there are, and the document itself; raises ``ExtensionError``."""
    try:
        data = downloads.fetch_text(handler.manifest_uris, f"{handler.name} manifest")
        return parse_manifest(data), data
    except AgentError as error:
        raise ExtensionError(
            "Failed to get ext handler pkgs\nInner error: [ProtocolError] Failed to retrieve"
            f" extension manifest. Error: {error.for_fabric()}"
        ) from error


def choose(handler: Handler, manifest: Manifest, installed: Optional[str]) -> Choice:
    """The largest version that begins with the one asked for; for removal the installed one.

    Removal works with a version that is no longer published. Raises ``ExtensionError``.
    """
    if handler.state is not RequestedState.ENABLED:
        wanted = _version(installed or handler.version)
        same = [each for each in manifest.packages if Version(each.version) == wanted]
        return Choice(wanted.text, same[-1] if same else None)
    matching = [each for each in manifest.packages if matches(handler.version, each.version)]
    if not matching:
        raise ExtensionError(
            f"Unable to find version {handler.version} in manifest for extension {handler.name}"
        )
    best = sorted(matching, key=lambda each: Version(each.version))[-1]
    return Choice(best.version, best)


def matches(requested: str, offered: str) -> bool:
    """Whether all parts of the requested version lead the offered one (spec EXT 0.3)."""
    wanted = _version(requested).parts
    return _version(offered).parts[: len(wanted)] == wanted


def stands_for(handler: Handler, version: str) -> bool:
    """Whether an installed version may be what this entry of a goal state was served with."""
    try:
        return handler.state is not RequestedState.ENABLED or matches(handler.version, version)
    except ExtensionError:
        return False


def fetch(downloads: Downloads, home: HandlerHome, package: Package) -> bool:
    """Get the package into place; whether it was downloaded. Raises ``PackageError``.

    A package that lies there already, from an image builder or a download whose end we did not
    see, is used if it is whole.
    """
    if home.package.is_file():
        try:
            _unpack(home.package, home)
            log.info("Use the package %s that is here already", home.package.name)
            return False
        except AgentError as error:
            log.warning("Cannot use the package that is here already: %s", error)
            files.remove(home.package)
    try:
        downloads.fetch_package(package.uris, home.package, lambda path: _unpack(path, home))
    except HttpError as error:
        raise PackageError(error.message, ExtensionCode.DOWNLOAD_FAILED) from error
    except OSError as error:
        raise PackageError(f"cannot store {home.package}: {error}") from error
    return True


def initialise(home: HandlerHome, handler: Handler) -> HandlerManifest:
    """Make an unpacked folder a handler's home: manifest at the top, folders, environment.

    When the disk cannot take it, the folder goes again. Raises ``ExtensionError``.
    """
    try:
        manifest = _read_manifest(home)
        check_multi_config(handler, manifest)
        ensure_environment(home)
    except OSError as error:
        if error.errno in _HOPELESS:
            remove(home)
        raise PackageError(f"cannot initialise {home.full_name}: {error}") from error
    return manifest


def check_multi_config(handler: Handler, manifest: HandlerManifest) -> None:
    """``GoalStateFault`` when the fabric expects several configurations of a handler of one."""
    if handler.is_multi_config and not manifest.supports_multiple_extensions:
        raise GoalStateFault(
            f"Handler {handler.name} does not support MultiConfig but CRP expects it,"
            " failing due to inconsistent data"
        )


def remove(home: HandlerHome) -> None:
    """Remove a version's folder and package; what others remove meanwhile is no error.

    The folder first gets another name, so that a kill cannot leave half of a handler behind.
    """
    for path in (home.package, home.package.with_name(f"{home.full_name}.zip")):
        files.remove(path)
    if home.folder.is_symlink():
        files.remove(home.folder)
    doomed = home.folder.with_name(f".{home.full_name}{DOOMED}")
    if doomed.exists():
        discard(doomed)
    if doomed.exists():  # something in it would not go, and must not hold up what comes now
        doomed = doomed.with_name(f"{doomed.name}.{os.urandom(4).hex()}")
    with contextlib.suppress(FileNotFoundError):
        home.folder.replace(doomed)
    if doomed.exists():
        discard(doomed)


def discard(folder: Path) -> None:
    """Remove a folder with all that an extension has put there, but for what is mounted in it.

    What cannot be removed is told and stays for the next start.
    """
    try:
        cleared = clearing.remove_folder(folder)
    except (GuestError, OSError) as error:
        log.warning("Cannot remove %s: %s; the next start tries again", folder, error)
        return
    left = (*cleared.spared, *cleared.failed)
    if left:
        what = "; ".join(str(each) for each in left[:MOST_SHOWN])
        log.warning("Cannot remove all of %s; the next start tries again: %s", folder, what)


def carry_over(old: HandlerHome, new: HandlerHome) -> None:
    """Copy what the old version knows of its work to the new one: ``mrseq`` and statuses."""
    files.ensure_directory(new.status, mode=0o700)
    pairs = [(old.last_sequence, new.last_sequence)]
    if old.status.is_dir():
        pairs += [(path, new.status / path.name) for path in sorted(old.status.iterdir())]
    for source, target in pairs:
        if source.is_file() and not source.is_symlink():
            shutil.copy2(source, target, follow_symlinks=False)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except ValueError as error:
        raise ExtensionError(str(error)) from error


def _unpack(package: Path, home: HandlerHome) -> None:
    staged = home.folder.with_name(f".{home.full_name}{STAGED}")
    try:
        archive.unpack(package, staged)
        _tidy(staged)
        if not _lift(staged):
            files.remove(home.manifest)  # an earlier package's says nothing of this one
        _move_in(staged, home.folder)
    except OSError as error:
        raise PackageError(f"cannot unpack {package.name}: {error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _tidy(staged: Path) -> None:
    """No package says what is so here; some were made of a folder that an agent had used."""
    config = staged / "config"
    names = ("HandlerState", "HandlerStatus", "HandlerCommand")
    for path in (*(config / name for name in names), *config.glob("*.HandlerState")):
        files.remove(path)


def _lift(staged: Path) -> bool:
    """Have the manifest at the top, wherever the package has it; whether there is one."""
    found, top = find_manifest(staged), staged / MANIFEST
    if found is not None and found != top:
        shutil.copyfile(found, top)
        top.chmod(0o744)
    return found is not None


def _move_in(staged: Path, folder: Path) -> None:
    """Move a folder's content over another's; each file is the old or the new one, never half."""
    if not folder.is_dir():
        files.remove(folder)
        staged.replace(folder)
        return
    for source in sorted(staged.iterdir()):
        target = folder / source.name
        is_folder = target.is_dir() and not target.is_symlink()
        if source.is_dir() and is_folder:
            _move_in(source, target)
            continue
        if source.is_dir():
            files.remove(target)
        elif is_folder:
            discard(target)
        source.replace(target)


def _read_manifest(home: HandlerHome) -> HandlerManifest:
    if not home.manifest.is_file():
        raise PackageError(f"{MANIFEST} not found")
    data = read_bounded(home.manifest)
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
        files.write(home.manifest, data, mode=0o744)
    return parse_handler_manifest(data)
