"""Custom data: decoded, saved, and run at most once (spec DAEMON 5.7)."""

from __future__ import annotations

import base64
import binascii
import logging
import shlex
import zlib
from pathlib import Path

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import CommandTimedOut, describe
from waagent.core.events import Op
from waagent.core.redact import redact
from waagent.provisioning import marker
from waagent.provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)

RUN_WITHIN_S = 3600.0
MAX_UNPACKED = 16 * 1024 * 1024
MOST_LINES = 50
LONGEST_LINE = 500
EXECUTED = "Custom data was executed"
NOT_EXECUTABLE = 126
_GZIP = b"\x1f\x8b"


def save_custom_data(context: Context, text: str) -> None:
    """Save what the media carries, as bytes, and run it if the configuration asks for it."""
    provisioning = context.conf.provisioning
    data = text.encode("utf-8")
    if provisioning.decode_custom_data or provisioning.execute_custom_data:
        log.info("Decode custom data")
        data = _decode(text)
    log.info("Save custom data")
    mode = 0o700 if provisioning.execute_custom_data else files.SECRET
    files.write(context.paths.custom_data, data, mode=mode)
    if provisioning.execute_custom_data:
        _run_once(context)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProvisioningError(
            f"cannot decode the custom data: it is not base64 ({error}); send it encoded"
        ) from error


def _run_once(context: Context) -> None:
    """Run the script; that it was started is noted first, so that a crash never runs it again."""
    started = context.paths.custom_data_started
    files.remove(_unpacked(context))  # of an attempt that was killed
    if marker.is_done(context, started):
        log.warning("The custom data was started before and is not run again")
        return
    marker.note_done(context, started)
    with context.events.operation(Op.CUSTOM_DATA, "execute custom data") as attempt:
        attempt.message = _run(context)


def _run(context: Context) -> str:
    """What the event says; whatever the script does, provisioning goes on (DAEMON 5.7)."""
    script, unpacked = context.paths.custom_data, _unpacked(context)
    try:
        data = files.read(script)
        if data.startswith(_GZIP):
            log.info("The custom data is compressed: what is in it is executed")
            files.write(unpacked, _unpack(data), mode=0o700)
            script = unpacked
        text = _run_script(context, script)
    except (ProvisioningError, OSError) as error:
        text = f"The custom data cannot be executed: {describe(error)}"
    finally:
        files.remove(unpacked)
    if text != EXECUTED:
        log.warning("%s", text)
    return text


def _unpacked(context: Context) -> Path:
    script = context.paths.custom_data
    return script.with_name(f"{script.name}.unpacked")


def _run_script(context: Context, script: Path) -> str:
    path = shlex.quote(context.system.within(script))
    try:
        result = context.system.run("/bin/sh", "-c", path, timeout_s=RUN_WITHIN_S)
    except CommandTimedOut as error:
        _tell_output(error.output)
        return f"The custom data did not end within {RUN_WITHIN_S:g} s and was killed"
    _tell_output(result.output)
    if result.ok:
        return EXECUTED
    hint = "; is its file system mounted noexec?" if result.code == NOT_EXECUTABLE else ""
    return f"The custom data ended with code {result.code}{hint}"


def _tell_output(output: str) -> None:
    """The end of what the script printed, for who looks why; to the log only, never to Azure."""
    lines = [line for line in redact(output).splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        log.info("The custom data printed %d lines; these are the last", len(lines))
    for line in lines[-MOST_LINES:]:
        log.info("Custom data: %s", line[:LONGEST_LINE])


def _unpack(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        script = unpacking.decompress(data, MAX_UNPACKED + 1)
    except zlib.error as error:
        raise ProvisioningError(f"cannot unpack the custom data: {error}") from error
    if len(script) > MAX_UNPACKED or not unpacking.eof:
        raise ProvisioningError(
            f"cannot unpack the custom data: it is cut, or larger than {MAX_UNPACKED} bytes"
        )
    return script
