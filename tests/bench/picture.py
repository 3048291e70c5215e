"""The first boot of each agent as a picture (SVG) on one time axis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Optional

from tests.bench.record import Boot, Round

WIDTH, LEFT, RIGHT = 1180, 190, 215
LANE, BAR, HEADER, GAP, TOP, BOTTOM = 26, 16, 30, 14, 44, 40
INK, FAINT, GRID = "#1f2933", "#66727f", "#d9dee3"
COLOURS = {
    "system": "#a9b4bf",
    "provisioning": "#e0a458",
    "ready": "#5b8db8",
    "extension": "#6aa56a",
    "requests": "#7a5195",
}
Lane = tuple[str, list[tuple[Optional[float], Optional[float], str, str]]]


def choose_round(rounds: Sequence[Round], agent: str) -> Optional[Round]:
    """The round whose boot is in the middle of all that came to the end."""
    own = [r for r in rounds if r.agent == agent and r.boot.service_s is not None]
    whole = [r for r in own if r.boot.extension_s is not None]
    if not whole:
        return own[0] if own else None
    whole.sort(key=lambda r: r.boot.extension_s or 0.0)
    return whole[(len(whole) - 1) // 2]


def list_lanes(boot: Boot) -> list[Lane]:
    """The lanes of one boot; each has bars: from, to, colour, and what is said behind it."""
    ready, done = boot.since_service(boot.ready_s), boot.since_service(boot.extension_s)
    said_ready = "never Ready" if ready is None else f"Ready, {ready:.1f} s after the service"
    said_done = "no success" if done is None else f"success, {done:.1f} s after the service"
    asked = "" if boot.provisioning_s is None else f"at {boot.provisioning_s:.1f} s"
    return [
        ("kernel and initramfs", [(0.0, boot.userspace_s, "system", _at(boot.userspace_s))]),
        ("systemd", [(boot.userspace_s, boot.system_up_s, "system", _at(boot.system_up_s))]),
        (
            "service, to its first report",
            [(boot.service_s, boot.provisioning_s, "provisioning", asked)],
        ),
        ("provisioning, to Ready", [(boot.provisioning_s, boot.ready_s, "ready", said_ready)]),
        ("child, to the extension", [(boot.child_s, boot.extension_s, "extension", said_done)]),
    ]


def render_picture(rounds: Sequence[Round], agents: Sequence[str]) -> str:
    """The whole picture."""
    chosen = [(agent, choose_round(rounds, agent)) for agent in agents]
    longest = max((_end(r.boot) for _, r in chosen if r is not None), default=1.0)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if longest / s <= 14 or s == 100)
    scale = (WIDTH - LEFT - RIGHT) / (longest or 1.0)
    panels = []
    y = TOP
    for agent, r in chosen:
        panels += _panel(agent, None if r is None else r.boot, y, scale, longest)
        y += HEADER + 6 * LANE + GAP
    height = y + BOTTOM
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [
            head,
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            _text(16, 24, "First boot, from power on (seconds)", size=15, bold=True),
            *_axis(y, scale, longest, step),
            *panels,
            "</svg>\n",
        ]
    )


def _axis(bottom: float, scale: float, longest: float, step: int) -> Iterator[str]:
    for second in range(0, int(longest) + 1, step):
        x = LEFT + second * scale
        yield f'<path d="M{x:.1f} {TOP - 8} V{bottom}" stroke="{GRID}"/>'
        yield _text(x, bottom + 16, str(second), anchor="middle", colour=FAINT)


def _panel(agent: str, boot: Optional[Boot], y: float, scale: float, longest: float) -> list[str]:
    parts = [_text(16, y + 18, agent, size=14, bold=True)]
    if boot is None:
        return [*parts, _text(LEFT, y + 18, "its service was never seen", colour=FAINT)]
    y += HEADER
    for number, (name, bars) in enumerate(list_lanes(boot)):
        top = y + number * LANE
        parts.append(_text(LEFT - 10, top + 12, name, anchor="end"))
        for start, end, colour, said in bars:
            parts += _bar(start, end, COLOURS[colour], said, top=top, scale=scale)
    top = y + 5 * LANE
    parts.append(_text(LEFT - 10, top + 12, "requests to the fabric", anchor="end"))
    seen = [t for t in boot.requests_s if 0 <= t <= longest]
    ticks = "".join(f"M{LEFT + t * scale:.1f} {top + 2} v12" for t in seen)
    if ticks:
        parts.append(f'<path d="{ticks}" stroke="{COLOURS["requests"]}" stroke-opacity="0.7"/>')
    return parts


def _bar(
    start: Optional[float],
    end: Optional[float],
    colour: str,
    said: str,
    *,
    top: float,
    scale: float,
) -> Iterator[str]:
    """A bar, with its words behind it; one that never ends is only said."""
    if start is None:
        yield _text(LEFT + 6, top + 12, "never", colour=FAINT)
        return
    x = LEFT + start * scale
    width = 0.0 if end is None else max((end - start) * scale, 1.5)
    if end is not None:
        yield (
            f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"'
            f' fill="{colour}"/>'
        )
    yield _text(x + width + 5, top + 12, said, colour=INK)


def _at(moment: Optional[float]) -> str:
    return "" if moment is None else f"{moment:.1f} s"


def _end(boot: Boot) -> float:
    moments = (boot.extension_s, boot.ready_s, boot.system_up_s, boot.service_s)
    return max((m for m in moments if m is not None), default=0.0)


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: int = 12,
    colour: str = INK,
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        f' fill="{colour}"{weight}>{escape(words)}</text>'
    )
