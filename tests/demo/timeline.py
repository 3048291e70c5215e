"""The first boot as a picture made of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

COLUMNS = 56


@dataclass(frozen=True)
class Phase:
    """A part of the boot; None is a moment that never came."""

    name: str
    start_s: Optional[float]
    end_s: Optional[float]


def render_timeline(phases: Sequence[Phase]) -> list[str]:
    """One line a phase, to one scale."""
    whole = max((p.end_s for p in phases if p.end_s is not None), default=0.0) or 1.0
    width = max((len(p.name) for p in phases), default=0)
    lines = []
    for phase in phases:
        if phase.start_s is None or phase.end_s is None:
            lines.append(f"{phase.name:<{width}}  |{'never':<{COLUMNS}}|")
            continue
        first = min(int(phase.start_s / whole * COLUMNS), COLUMNS - 1)
        last = max(round(phase.end_s / whole * COLUMNS), first + 1)
        bar = " " * first + "#" * (last - first)
        seconds = phase.end_s - phase.start_s
        lines.append(f"{phase.name:<{width}}  |{bar:<{COLUMNS}}| {seconds:5.2f} s")
    scale = f"0{f'{whole:.1f} s':>{COLUMNS - 1}}"
    return [*lines, f"{'':<{width}}   {scale}"]
