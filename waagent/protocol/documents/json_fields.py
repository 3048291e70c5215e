"""JSON from the fabric: bounded reading, and objects whose keys are looked up ignoring case.

Not about any one document. Every failure is a ``DocumentError`` that names document and key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional, Union

from waagent.core.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100  # deeper values would overflow the stack of whoever writes them out again


def parse_json(data: Union[bytes, str], document: str) -> Any:
    """The JSON value, with or without a byte order mark; anything else is a ``DocumentError``."""
    if len(data) > MAX_BYTES:
        raise DocumentError(f"cannot read {document}: {len(data)} bytes are over {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        value = json.loads(text)
    except RecursionError:
        raise DocumentError(f"cannot read {document}: nested too deeply") from None
    except MemoryError:  # values take many times what their text does
        raise DocumentError(f"cannot read {document}: its values do not fit in memory") from None
    except ValueError as error:
        # The error holds the whole text, secrets included: only its place is repeated.
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "its text"
        raise DocumentError(f"cannot read {document}: not valid JSON at {where}") from None
    if _is_deeper_than(value, MAX_DEPTH):
        raise DocumentError(f"cannot read {document}: nested deeper than {MAX_DEPTH} levels")
    return value


def is_clean_text(text: str) -> bool:
    """Whether the text can be written as UTF-8: JSON can escape half a character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Fields:
    """One JSON object; of keys that differ only in case the later one counts (WIRE 4.3)."""

    def __init__(self, value: Any, document: str, where: str = "") -> None:
        self._document = document
        self._where = where
        if not isinstance(value, Mapping):
            raise self.error("an object is expected")
        self._values = {key.casefold(): item for key, item in value.items()}

    def value(self, key: str) -> Any:
        """Whatever is there; ``None`` when absent or null."""
        return self._values.get(key.casefold())

    def maybe_text(self, key: str) -> Optional[str]:
        """A string, or ``None`` when absent or null."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, str) or not is_clean_text(value):
            raise self.error("text is expected", key)
        return value

    def text(self, key: str) -> str:
        """A string that must be there and not be empty."""
        value = self.maybe_text(key)
        if not value:
            raise self.error("it is missing or empty", key)
        return value

    def maybe_flag(self, key: str) -> Optional[bool]:
        """True or false, or ``None`` when absent or null."""
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            raise self.error("true or false is expected", key)
        return value

    def number(self, key: str) -> int:
        """An integer that must be there; digits as text are one too."""
        value = self.value(key)
        if isinstance(value, int) and not isinstance(value, bool) and -(10**18) < value < 10**18:
            return value
        number = parse_integer(value) if isinstance(value, str) else None
        if number is None:
            raise self.error("an integer is expected", key)
        return number

    def items(self, key: str) -> list[Any]:
        """An array's items; absent or null is empty."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error("an array is expected", key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self.items(key)
        if not all(isinstance(value, str) and is_clean_text(value) for value in values):
            raise self.error("an array of texts is expected", key)
        return tuple(values)

    def objects(self, key: str) -> list[Fields]:
        """An array of objects."""
        return [
            Fields(item, self._document, self._path(f"{key}[{index}]"))
            for index, item in enumerate(self.items(key))
        ]

    def maybe_object(self, key: str) -> Optional[Fields]:
        """An object, or ``None`` when absent or null."""
        value = self.value(key)
        return None if value is None else Fields(value, self._document, self._path(key))

    def error(self, why: str, key: str = "") -> DocumentError:
        """An error naming the document and the place in it."""
        path = self._path(key)
        place = f' at "{path}"' if path else ""
        return DocumentError(f"cannot read {self._document}{place}: {why}")

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where and key else self._where or key


def parse_integer(text: str) -> Optional[int]:
    """A decimal integer of at most 18 digits, or ``None``."""
    stripped = text.strip()
    digits = stripped[1:] if stripped[:1] in ("-", "+") else stripped
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        return None
    return int(stripped)


def _is_deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True
