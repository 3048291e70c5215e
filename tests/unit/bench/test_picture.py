"""The picture of the first boot."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.bench.picture import LEFT, RIGHT, WIDTH, choose_round, render_picture
from tests.bench.record import Boot, Round
from tests.unit.bench.samples import whole_round

SVG = "{http://www.w3.org/2000/svg}"


def bars(picture: str) -> list[tuple[float, float]]:
    """Start and width of every coloured bar, in the order of the lanes."""
    rectangles = ET.fromstring(picture).iter(f"{SVG}rect")
    return [(float(r.get("x", 0)), float(r.get("width", 0))) for r in rectangles if r.get("rx")]


def words(picture: str) -> list[str]:
    """All that is written in it."""
    return [t.text or "" for t in ET.fromstring(picture).iter(f"{SVG}text")]


def test_picture_shows_all_agents_on_one_axis() -> None:
    """The same moment has the same place in both panels."""
    picture = render_picture(
        [whole_round("ours", ready=15.0), whole_round("debian", ready=36.0)], ["ours", "debian"]
    )
    found = bars(picture)
    assert len(found) == 10
    scale = (WIDTH - LEFT - RIGHT) / 40.0  # the peer's extension succeeds at 40 s
    for panel, ready in ((found[:5], 15.0), (found[5:], 36.0)):
        start, width = panel[3]
        assert start + width == pytest.approx(LEFT + ready * scale, abs=0.2)


def test_picture_says_how_long_the_agent_took() -> None:
    """Behind the bars."""
    said = words(render_picture([whole_round("ours", ready=15.0)], ["ours"]))
    assert "Ready, 5.0 s after the service" in said
    assert "success, 9.0 s after the service" in said


def test_boot_that_never_got_ready_is_drawn_as_far_as_it_came() -> None:
    """With words where a bar would be."""
    boot = Boot(service_s=10.0, userspace_s=5.0, system_up_s=12.0)
    stuck = Round("debian", 1, load_before=0.0, failed="never", boot=boot)
    said = words(render_picture([whole_round("ours"), stuck], ["ours", "debian"]))
    assert said.count("never") == 2


def test_agent_that_was_never_seen_has_a_panel_that_says_so() -> None:
    """The picture is drawn after every round, also before the first one of an agent."""
    said = words(render_picture([whole_round("ours")], ["ours", "debian"]))
    assert "its service was never seen" in said


def test_name_of_an_agent_cannot_break_the_picture() -> None:
    """File names may hold anything."""
    assert "a<b>&c.deb" in words(render_picture([whole_round("a<b>&c.deb")], ["a<b>&c.deb"]))


def test_picture_is_of_the_boot_in_the_middle() -> None:
    """Neither the best nor the worst."""
    rounds = [whole_round("ours", n, ready=10.0 + n) for n in (9, 1, 5)]
    chosen = choose_round(rounds, "ours")
    assert chosen is not None
    assert chosen.number == 5
