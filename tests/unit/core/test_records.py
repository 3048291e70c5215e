"""Frozen records behave as the standard library's frozen dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any, Callable

import pytest

from waagent.core import records

Decorator = Callable[[type], type]


def make(decorate: Decorator) -> type:
    """A class with a bit of everything."""

    class Thing:
        """A thing."""

        name: str
        number: int = 3
        tags: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)
        secret: str = dataclasses.field(default="s", repr=False)
        note: str = dataclasses.field(default="", compare=False)

        def __post_init__(self) -> None:
            assert self.name is not None

        @property
        def doubled(self) -> int:
            """Twice the number."""
            return self.number * 2

    return decorate(Thing)


@records.dataclass(frozen=True)
class Point:
    """For what needs a class of a module."""

    x: int
    y: int = 0


@pytest.fixture(
    params=[records.dataclass(frozen=True), dataclasses.dataclass(frozen=True)],
    ids=["record", "dataclass"],
)
def thing(request: pytest.FixtureRequest) -> Any:
    """The same class made by ours and by the standard decorator."""
    return make(request.param)


def test_record_is_made_by_position_name_and_default(thing: Any) -> None:
    one = thing("a", 4, secret="t")
    assert (one.name, one.number, one.tags, one.secret, one.doubled) == ("a", 4, {}, "t", 8)
    assert thing("a").tags is not thing("a").tags
    for wrong in (thing, lambda: thing("a", unknown=1), lambda: thing(*range(7))):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AssertionError):
        thing(None)


def test_record_equals_one_of_its_class_with_the_same_values(thing: Any) -> None:
    assert thing("a", note="x") == thing("a", note="y")
    assert thing("a") != thing("b")
    assert thing("a", tags={"t": 1}) != thing("a")
    assert thing("a") != ("a", 3, {}, "s", "")
    assert thing("a").__eq__(1) is NotImplemented


def test_record_can_be_a_key_whatever_is_left_out_of_its_hash(thing: Any) -> None:
    assert hash(thing("a", tags={"t": 1})) == hash(thing("a"))
    assert {thing("a"), thing("a", note="x")} == {thing("a")}


def test_record_shows_itself_without_what_is_not_to_be_shown(thing: Any) -> None:
    assert repr(thing("a")).endswith("Thing(name='a', number=3, tags={}, note='')")
    assert "secret" not in repr(thing("a"))


@pytest.mark.parametrize("name", ["number", "unknown", "doubled"])
def test_record_does_not_change(thing: Any, name: str) -> None:
    one = thing("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field"):
        setattr(one, name, 5)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field"):
        delattr(one, name)
    assert one == thing("a")


def test_record_is_replaced_listed_and_copied_like_a_dataclass(thing: Any) -> None:
    one = thing("a", tags={"t": 1})
    other = dataclasses.replace(one, number=5)
    assert (other.name, other.number, other.tags) == ("a", 5, {"t": 1})
    assert [each.name for each in dataclasses.fields(one)] == [
        "name", "number", "tags", "secret", "note",
    ]  # fmt: skip
    assert dataclasses.asdict(one)["tags"] == {"t": 1}
    assert copy.copy(one) == copy.deepcopy(one) == one


def test_record_that_extends_another_has_the_fields_of_both() -> None:
    @records.dataclass(frozen=True)
    class Place(Point):
        """A point with a name."""

        name: str = "here"

    assert Place(1, 2, "there") != Place(1, 2)
    assert Place(1) != Point(1)
    assert repr(Place(1)).endswith("Place(x=1, y=0, name='here')")


def test_record_keeps_what_its_class_says_itself() -> None:
    @records.dataclass(frozen=True)
    class Odd:
        """Equal to all."""

        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "odd"

    assert (Odd(1) == 2, hash(Odd(1)), repr(Odd(1))) == (True, 7, "odd")


def test_what_is_not_frozen_is_an_ordinary_dataclass() -> None:
    @records.dataclass
    class Count:
        """A counter."""

        number: int = 0

    one = Count()
    one.number += 1
    assert one == Count(1)
