"""What a guest is to be, as a value that is handed to its first process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DRIVE = "/dev/sr0"


@dataclass(frozen=True)
class GuestPlan:
    """Where its view is built, and what in it differs from this machine.

    `files` maps paths to texts: a script becomes executable, an empty text takes the file away.
    """

    folder: str
    python: str
    packages: str
    image: str
    product_uuid: str = ""
    hostname: str = "unprovisioned"
    files: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))


def parse_plan(text: str) -> GuestPlan:
    """The other way."""
    return GuestPlan(**json.loads(text))
