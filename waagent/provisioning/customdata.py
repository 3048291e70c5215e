"""Custom data: decoded, saved, and run at most once (spec DAEMON 5.7)."""

from __future__ import annotations

import base64
import binascii
import logging
import shlex

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import CommandTimedOut
from waagent.core.events import Op
from waagent.provisioning import marker
from waagent.provisioning.errors import ProvisioningError

log = logging.getLogger(__name__)

RUN_WITHIN_S = 3600.0
NOT_EXECUTABLE = 126


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
    if marker.is_done(context, started):
        log.warning("The custom data was started before and is not run again")
        return
    marker.note_done(context, started)
    with context.events.operation(Op.CUSTOM_DATA, "execute custom data") as attempt:
        attempt.message = _run(context)


def _run(context: Context) -> str:
    """What the event says; whatever the script does, provisioning goes on (DAEMON 5.7).

    What it printed may hold secrets, and so is not repeated.
    """
    path = shlex.quote(context.system.within(context.paths.custom_data))
    try:
        code = context.system.run("/bin/sh", "-c", path, timeout_s=RUN_WITHIN_S).code
    except CommandTimedOut:
        text = f"The custom data did not end within {RUN_WITHIN_S:g} s and was killed"
    else:
        if code == 0:
            return "Custom data was executed"
        hint = "; is its file system mounted noexec?" if code == NOT_EXECUTABLE else ""
        text = f"The custom data ended with code {code}{hint}"
    log.warning("%s", text)
    return text
