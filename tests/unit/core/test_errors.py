"""Errors: what they say to people, to the log and to the fabric, and what they never say."""

from __future__ import annotations

import pytest

from waagent.core.errors import (
    MAX_SHOWN,
    AgentError,
    CommandFailed,
    CommandTimedOut,
    ConfError,
    HttpStatus,
    describe,
    for_fabric,
)

URL = "https://account.blob.core.windows.net/c/b?sv=1&sig=c2VjcmV0"


def test_error_has_the_fabrics_label_in_its_report_and_not_in_its_text() -> None:
    """The label is wire text (spec DAEMON 0.4)."""
    error = ConfError("cannot read it")
    assert str(error) == describe(error) == "cannot read it"
    assert error.for_fabric() == for_fabric(error) == "[AgentConfigError] cannot read it"
    assert for_fabric(error, "ProvisionError") == "[ProvisionError] cannot read it"


def test_foreign_error_is_described_by_its_class() -> None:
    """For it has no words for people."""
    assert describe(KeyError("x")) == "KeyError: 'x'"
    assert for_fabric(KeyError("x")) == "[KeyError] 'x'"


def test_facts_are_kept_beside_the_message() -> None:
    """For whoever treats the error."""
    assert AgentError("cannot", attempts=3).facts == {"attempts": 3}
    assert HttpStatus("cannot", status=404, body=b"x").status == 404


def test_failed_command_is_told_as_the_fabric_knows_it() -> None:
    """The words of spec DAEMON 0.2, the end of the line trimmed."""
    error = CommandFailed(("mount", "-o", "ro"), 32, "no medium\n\n")
    assert str(error) == "'mount -o ro' failed: 32 (no medium)"
    assert error.for_fabric() == "[OSUtilError] 'mount -o ro' failed: 32 (no medium)"


@pytest.mark.parametrize(
    "secret",
    [URL, "$6$salt1234$abcdefghijklmnop", '{"password": "c2VjcmV0"}', "<Password>c2VjcmV0"],
)
def test_command_error_holds_no_secret_of_its_words_or_output(secret: str) -> None:
    """Not in the text and not in the attributes, where a log might find it."""
    for error in (
        CommandFailed(("tool", secret), 1, f"bad {secret}"),
        CommandTimedOut(("tool", secret), 5.0, f"bad {secret}"),
    ):
        held = f"{error} {error.argv} {error.output} {error.message} {error.args}"
        assert "c2VjcmV0" not in held
        assert "abcdefghijklmnop" not in held


def test_long_output_is_kept_whole_and_shown_by_its_end() -> None:
    """The reason comes last; the message goes into logs and reports."""
    error = CommandFailed(("tool",), 1, "x" * 100_000 + " the reason")
    assert len(error.output) > 100_000
    assert len(str(error)) < MAX_SHOWN + 100
    assert str(error).endswith(" the reason)")


def test_command_that_was_late_shows_what_it_had_printed() -> None:
    """If it had printed anything."""
    said = CommandTimedOut(("tool",), 1.5, "waiting for lock\n")
    assert str(said) == "'tool' did not end within 1.5 s and was killed (waiting for lock)"
    assert str(CommandTimedOut(("tool",), 1.5, "")) == (
        "'tool' did not end within 1.5 s and was killed"
    )
    assert (said.code, said.timeout_s) == (-1, 1.5)
