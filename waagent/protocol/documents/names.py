"""Words of the fabric that become file names or header values, and so must be harmless."""

from __future__ import annotations

_LONGEST_BYTES = 200  # part of a file name, whose limit is 255 bytes
_LONGEST_SHOWN = 100


def is_plain_name(text: str) -> bool:
    """Whether the text can be part of a file name without leading anywhere else."""
    return (
        text not in ("", ".", "..")
        and is_one_line(text)
        and "/" not in text
        and len(text.encode("utf-8")) <= _LONGEST_BYTES
    )


def is_one_line(text: str) -> bool:
    """Whether the text is printable: no line breaks, no control characters, no half characters."""
    return text.isprintable()


def shown(text: str) -> str:
    """The text for a message: quoted, on one line, cut where it is long."""
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}..."
