"""Every parser returns its type or raises ``DocumentError``, whatever it is given.

``FUZZ_EXAMPLES`` asks for more than the few that fit into every run, and chooses them anew.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutants
from tests.fuzz.structure import mutate
from tests.fuzz.targets import TARGETS, Target
from tests.support.samples import sample
from waagent.core.errors import DocumentError

ASKED = os.environ.get("FUZZ_EXAMPLES")
EXAMPLES = int(ASKED or "60")
PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=ASKED is None,
    suppress_health_check=list(HealthCheck),
)
NEVER_FAIL = ("redact_extensions_config", "redact_vm_settings")


def check(target: Target, data: bytes) -> None:
    """The contract of a parser; its errors are a line, not a document."""
    refusal = None
    try:
        found = target.parse(data)
    except DocumentError as error:
        refusal = str(error)
    if refusal is None:
        assert isinstance(found, target.returns)
        assert isinstance(repr(found), str)
    else:
        assert str(target) not in NEVER_FAIL
        assert is_one_line(refusal)


def is_one_line(message: str) -> bool:
    """Whether a message can go into a log."""
    return len(message) < 1000 and "\n" not in message


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_parser_reads_its_seeds_without_an_error(target: Target) -> None:
    """Else the mutants would begin with broken documents."""
    for data in target.seeds:
        assert isinstance(target.parse(data), target.returns)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_parser_survives_any_bytes(target: Target) -> None:
    """Raw ones, most of which are no document at all."""

    @PROFILE
    @given(st.binary(max_size=600))
    def survives(data: bytes) -> None:
        check(target, data)

    survives()


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_parser_survives_mutants_of_small_documents(target: Target) -> None:
    """Which come close to every branch."""

    @PROFILE
    @given(mutants(target.seeds))
    def survives(data: bytes) -> None:
        check(target, data)

    survives()


@pytest.mark.parametrize("target", [t for t in TARGETS if t.seeds[0][:1] in b"<[{"], ids=str)
def test_parser_survives_values_of_another_kind(target: Target) -> None:
    """Well-formed documents whose elements and members are not what they should be."""

    @PROFILE
    @given(st.sampled_from(target.seeds), st.integers(0, 2**32))
    def survives(data: bytes, seed: int) -> None:
        check(target, mutate(data, Random(seed)))

    survives()


@pytest.mark.parametrize("target", [t for t in TARGETS if t.samples], ids=str)
def test_parser_survives_mutants_of_real_documents(target: Target) -> None:
    """The captured ones."""
    documents = tuple(sample(name) for name in target.samples)

    @PROFILE
    @given(mutants(documents))
    def survives(data: bytes) -> None:
        check(target, data)

    survives()
