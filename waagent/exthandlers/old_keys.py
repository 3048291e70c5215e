"""When old keys go: after a goal state was carried out whose certificates have come."""

from __future__ import annotations

import logging

from waagent.core.context import Context
from waagent.core.errors import describe
from waagent.extensions.named_certificates import find_named_certificates
from waagent.protocol.old_keys import remove_old_keys
from waagent.protocol.store import Snapshot

log = logging.getLogger(__name__)


def sweep_old_keys(context: Context, snapshot: Snapshot) -> None:
    """Remove the keys that neither this goal state nor any installed settings name.

    A list that is empty may be one that did not come: then all stay, as they do while the settings
    of some handler cannot be read.
    """
    listed = {each.thumbprint for each in snapshot.certificates}
    if not listed:
        return
    wanted = {
        (settings.certificate_thumbprint or "").upper()
        for handler in snapshot.extensions.handlers
        for settings in handler.settings
    }
    installed = find_named_certificates(context.paths)
    if installed is None:
        log.warning("Old keys stay: the settings of some extension cannot be read")
        return
    try:
        remove_old_keys(context.paths, listed | wanted | installed, context.system.clock.now())
    except OSError as error:
        log.warning("Cannot remove old keys: %s", describe(error))
