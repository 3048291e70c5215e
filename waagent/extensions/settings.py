"""What a handler reads: its settings files and HandlerEnvironment.json (spec EXT 3.5)."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.extensions.home import HandlerHome, prefix_of
from waagent.protocol.documents.handlers import Handler, Settings

_SCHEMA = 1.0
KEPT = 50


def render_settings(settings: Settings) -> bytes:
    """The settings file; all three members are always there, because extensions count on it."""
    members = {
        "publicSettings": settings.public_settings,
        "protectedSettings": settings.protected_settings,
        "protectedSettingsCertThumbprint": settings.certificate_thumbprint,
    }
    return json.dumps({"runtimeSettings": [{"handlerSettings": members}]}).encode("ascii")


def write_settings(home: HandlerHome, handler: Handler, settings: Optional[Settings]) -> None:
    """Write the settings file, empty without settings; 0600, as it may hold secrets.

    It is the newest then, by which some extensions choose, also when it was there before.
    """
    files.ensure_directory(home.config, mode=0o700)
    content = b"" if settings is None else render_settings(settings)
    path = home.settings(prefix_of(handler, settings))
    if not files.ensure_content(path, content, mode=files.SECRET):
        os.utime(path)
        return
    for folder, suffix in ((home.config, ".settings"), (home.status, ".status")):
        with contextlib.suppress(OSError):  # what an extension made of its folder stops nothing
            _forget_old(folder, suffix, keep=path.stem)


def _forget_old(folder: Path, suffix: str, *, keep: str) -> None:
    """Of an extension's files the newest stay: each change of its settings brings one more.

    What carries no sequence number is not ours to count.
    """
    extension = keep.rpartition(".")[0]
    found: list[tuple[float, Path]] = []
    for path in folder.glob(f"*{suffix}"):
        name, _, number = path.name[: -len(suffix)].rpartition(".")
        if name == extension and number.isdecimal() and path.name != keep + suffix:
            with contextlib.suppress(FileNotFoundError):
                found.append((path.lstat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[KEPT - 1 :]:
        with contextlib.suppress(OSError):
            files.remove(path)


def render_environment(home: HandlerHome) -> bytes:
    """HandlerEnvironment.json: where a handler finds its folders."""
    return json.dumps(
        [
            {
                "name": home.name,
                "version": _SCHEMA,
                "handlerEnvironment": {
                    "logFolder": str(home.log_folder),
                    "configFolder": str(home.config),
                    "statusFolder": str(home.status),
                    "heartbeatFile": str(home.heartbeat),
                    "eventsFolder": str(home.events),
                    "eventsFolder_preview": str(home.events),
                },
            }
        ]
    ).encode("ascii")


def ensure_environment(home: HandlerHome) -> None:
    """The folders that a handler is promised, and the file that names them."""
    files.ensure_directory(home.status, mode=0o700)
    files.ensure_directory(home.config, mode=0o700)
    files.ensure_directory(home.log_folder)
    files.ensure_directory(home.events, mode=0o700)
    files.ensure_content(home.environment, render_environment(home))
