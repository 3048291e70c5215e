"""What a goal state could not be carried out for, and what could not even be written of that.

All in memory: a disk that takes nothing is one of the reasons. What failed so is done again once
there is room, or once the certificate has come; what failed for a reason of its own is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from waagent.core.errors import find_disk_trouble
from waagent.extensions.failure import Failure
from waagent.extensions.sequence import Item
from waagent.protocol.documents.status import NOT_READY, ExtensionStatus, HandlerStatus

ERROR = "error"


class Unfinished:
    """Items by name: the handler's, with the extension's where it has several."""

    def __init__(self) -> None:
        self._without_room: set[str] = set()
        self._without_certificate: dict[str, str] = {}
        self._skipped: set[str] = set()
        self._untold: dict[str, HandlerStatus] = {}

    @property
    def lacks_room(self) -> bool:
        """Whether a file system refused something."""
        return bool(self._without_room)

    @property
    def lacked_certificates(self) -> frozenset[str]:
        """Thumbprints of certificates that something failed without."""
        return frozenset(self._without_certificate.values())

    def begin(self) -> None:
        """Another goal state, or the rest of this one, is about to be worked on."""
        self._without_room.clear()
        self._without_certificate.clear()
        self._skipped.clear()
        self._untold.clear()

    @property
    def again(self) -> frozenset[str]:
        """What is to be done again, by name: nothing that failed for a reason of its own."""
        lacking = {*self._without_room, *self._without_certificate}
        return frozenset(lacking | self._skipped if lacking else ())

    def failed(self, item: Item, error: Exception, missing: frozenset[str]) -> None:
        """An item failed; ``missing`` are certificates that did not come."""
        if find_disk_trouble(error) is not None:
            self._without_room.add(item.name)
        thumbprint = item.settings.certificate_thumbprint if item.settings is not None else None
        if thumbprint is not None and thumbprint in missing:
            self._without_certificate[item.name] = thumbprint

    def skipped(self, item: Item) -> None:
        """An item was not tried, since another one before it failed."""
        self._skipped.add(item.name)

    def untold(self, item: Item, version: str, failure: Failure, error: Exception) -> None:
        """What is to be reported of an item could not be written: it is kept here."""
        if find_disk_trouble(error) is not None:
            self._without_room.add(item.name)
        self._untold[item.name] = _record(item, version, failure)

    def corrected(self, name: str, records: Sequence[HandlerStatus]) -> list[HandlerStatus]:
        """A handler's records, as they would be if all could have been written."""
        ours = [each for each in self._untold.values() if each.name == name]
        known = {_extension_name(each) for each in ours}
        return [each for each in records if _extension_name(each) not in known] + ours


def _record(item: Item, version: str, failure: Failure) -> HandlerStatus:
    extension = None
    number = item.settings.sequence_number if item.settings is not None else None
    if isinstance(number, int):
        extension = ExtensionStatus(
            name=item.name,
            extension_name=item.extension,
            sequence_number=number,
            status=ERROR,
            code=failure.code,
            message=failure.message,
        )
    return HandlerStatus(
        item.handler.name, version, NOT_READY, failure.code, failure.message, extension
    )


def _extension_name(record: HandlerStatus) -> object:
    return record.extension.extension_name if record.extension is not None else None
