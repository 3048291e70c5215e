"""How options are declared and how one value is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.options import (
    GENERIC_ONLY,
    Kind,
    Limits,
    Option,
    Reading,
    Value,
    groups_of,
    heading,
    number,
    parse_value,
    path,
    seconds,
    show_value,
    switch,
    text,
)


@dataclass(frozen=True)
class Kitchen:
    light: bool = switch("Kitchen.Light", True, "Light on.", shipped="y", distros={"suse": None})
    colour: str = text("Kitchen.Colour", "red", "Colour.", limits=Limits(("red", "blue")))
    recipe: Optional[str] = text("Kitchen.Recipe", None, "What to cook.", shipped="#None")
    larder: str = path("Kitchen.Larder", "/larder", "Where the food is.")
    plates: int = number("Kitchen.Plates", 4, "How many.", least=1, most=12)
    boil_s: int = seconds("Kitchen.Boil", 60, "How long.", distros=GENERIC_ONLY, shipped="60")


@dataclass(frozen=True)
class House:
    kitchen: Kitchen = field(default=Kitchen(), metadata=heading("The kitchen"))
    number: int = 7


OPTIONS = {each.name: each.option for each in groups_of(House)[0].options}


def option(kind: Kind, limits: Optional[Limits] = None) -> Option:
    return Option("Some.Key", kind, None, "Anything.", limits=limits or Limits())


def test_declared_field_has_its_default_as_an_ordinary_dataclass_field_has() -> None:
    kitchen = Kitchen()
    assert (kitchen.light, kitchen.colour, kitchen.recipe) == (True, "red", None)
    assert Kitchen(plates=2) != kitchen


def test_groups_are_the_fields_with_a_heading_in_order() -> None:
    (group,) = groups_of(House)
    assert (group.section, group.heading) == ("kitchen", "The kitchen")
    names = [each.name for each in group.options]
    assert names == ["light", "colour", "recipe", "larder", "plates", "boil_s"]
    assert [each.option.key for each in group.options][:2] == ["Kitchen.Light", "Kitchen.Colour"]


def test_shipped_value_is_the_generic_one_unless_a_distribution_differs() -> None:
    light = OPTIONS["light"]
    assert [light.shipped_in(name) for name in (None, "ubuntu", "suse")] == ["y", "y", None]


def test_generic_only_option_is_in_no_file_of_a_distribution() -> None:
    boil = OPTIONS["boil_s"]
    assert boil.shipped_in(None) == "60"
    assert {boil.shipped_in(name) for name in GENERIC_ONLY} == {None}


@pytest.mark.parametrize(("raw", "value"), [("y", True), ("Y", True), ("n", False), ("N", False)])
def test_switch_takes_y_and_n_in_either_case(raw: str, value: bool) -> None:
    assert parse_value(option(Kind.SWITCH), raw) == Reading(value)


@pytest.mark.parametrize("raw", ["", "yes", "true", "1", "on", "none", "'y'", "\uff59"])
def test_switch_takes_nothing_else(raw: str) -> None:
    reading = parse_value(option(Kind.SWITCH), raw)
    assert reading == Reading(complaint="it is neither y nor n", usable=False)


@pytest.mark.parametrize(
    ("raw", "value"), [("0", 0), ("+5", 5), ("1_000", 1000), (" 7 ", 7), ("007", 7)]
)
def test_number_takes_what_int_takes(raw: str, value: int) -> None:
    assert parse_value(option(Kind.NUMBER), raw) == Reading(value)


@pytest.mark.parametrize("raw", ["", "5*60", "5.0", "0x10", "five", "9" * 5000 + "x"])
def test_number_takes_no_other_text(raw: str) -> None:
    reading = parse_value(option(Kind.SECONDS), raw)
    assert reading == Reading(complaint="it is not a whole number", usable=False)


@pytest.mark.parametrize(
    ("raw", "value", "complaint"),
    [
        ("0", 1, "the least is 1"),
        ("-3", 1, "the least is 1"),
        ("13", 12, "the most is 12"),
        ("1", 1, None),
        ("12", 12, None),
    ],
)
def test_number_out_of_its_range_becomes_the_nearest_one_in_it(
    raw: str, value: int, complaint: Optional[str]
) -> None:
    assert parse_value(OPTIONS["plates"], raw) == Reading(value, complaint)


def test_period_of_nothing_becomes_a_second_so_that_no_loop_spins() -> None:
    assert parse_value(OPTIONS["boil_s"], "0").value == 1


def test_period_longer_than_a_wait_can_be_is_cut() -> None:
    assert parse_value(OPTIONS["boil_s"], str(10**15)).value == 366 * 24 * 3600


@pytest.mark.parametrize("raw", ["", "anything at all", "mode=777", "'quoted'", "none", "é"])
def test_text_is_taken_as_it_stands(raw: str) -> None:
    assert parse_value(option(Kind.TEXT), raw) == Reading(raw)


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.PATH])
def test_text_with_a_nul_is_not_usable(kind: Kind) -> None:
    reading = parse_value(option(kind), "/a\0b")
    assert reading == Reading(complaint="it has a NUL in it", usable=False)


@pytest.mark.parametrize("raw", ["", "/", "//", "/.", "/..", "var/lib", "~/lib", "."])
def test_path_must_be_absolute_and_below_the_root(raw: str) -> None:
    reading = parse_value(option(Kind.PATH), raw)
    assert reading == Reading(complaint="it is not an absolute path below /", usable=False)


@pytest.mark.parametrize("raw", ["/var/lib/waagent", "/shared/azure/", "/a b", "/.hidden"])
def test_path_below_the_root_is_taken_as_it_stands(raw: str) -> None:
    assert parse_value(option(Kind.PATH), raw) == Reading(raw)


def test_word_that_is_no_choice_is_not_usable() -> None:
    reading = parse_value(OPTIONS["colour"], "Red")
    assert reading == Reading(complaint="it is none of red, blue", usable=False)


def test_word_that_is_no_choice_becomes_the_word_declared_for_that() -> None:
    limits = Limits(("dhcp", "static"), otherwise="static")
    reading = parse_value(option(Kind.TEXT, limits), "DHCP")
    assert reading == Reading("static", "it is none of dhcp, static")


def test_text_must_look_like_the_pattern_as_a_whole() -> None:
    digits = option(Kind.TEXT, Limits(pattern="[0-9]+"))
    assert parse_value(digits, "300") == Reading("300")
    assert not parse_value(digits, "300s").usable
    assert not parse_value(digits, "300\n").usable


@pytest.mark.parametrize(
    ("value", "shown"), [(True, "y"), (False, "n"), (None, "None"), (6, "6"), ("dhcp", "dhcp")]
)
def test_value_is_shown_as_the_file_would_have_it(value: Value, shown: str) -> None:
    assert show_value(value) == shown


@given(raw=st.text(), name=st.sampled_from(sorted(OPTIONS)))
def test_any_text_gives_a_usable_value_or_a_complaint(raw: str, name: str) -> None:
    reading = parse_value(OPTIONS[name], raw)
    assert reading.usable or reading.complaint


@given(value=st.one_of(st.booleans(), st.integers(1, 12), st.sampled_from(["red", "blue"])))
def test_shown_value_is_read_back(value: Value) -> None:
    name = {bool: "light", int: "plates"}.get(type(value), "colour")
    assert parse_value(OPTIONS[name], show_value(value)) == Reading(value)
