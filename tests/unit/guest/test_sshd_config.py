"""Editing sshd_config as text."""

from __future__ import annotations

import pytest

from waagent.guest.sshd_config import (
    parse_effective,
    replace_directive,
    set_before_includes,
    set_directives,
)

NO = (
    ("PasswordAuthentication", "no"),
    ("ChallengeResponseAuthentication", "no"),
    ("ClientAliveInterval", "180"),
)
NO_PAM = "UsePAM no\n"
THREE = "PasswordAuthentication no\nChallengeResponseAuthentication no\nClientAliveInterval 180\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "Port 22\n#PasswordAuthentication yes\n",
            f"Port 22\n#PasswordAuthentication yes\n{THREE}",
        ),
        (
            "PasswordAuthentication yes\nMatch User x\nPasswordAuthentication yes\n",
            f"{THREE}Match User x\nPasswordAuthentication yes\n",
        ),
        ("Port 22\nMatch host a\nX\n", f"Port 22\n{THREE}Match host a\nX\n"),
        (
            "Port 22\nMatch host a\nX\nmatch all\n#c\n",
            f"Port 22\nMatch host a\nX\nmatch all\n#c\n{THREE}",
        ),
        (
            "Match user a\nX\nMatch all\nMatch user b\nY\nMatch user c\nZ\n",
            f"Match user a\nX\nMatch all\n{THREE}Match user b\nY\nMatch user c\nZ\n",
        ),
        ("Port 22", f"Port 22\n{THREE}"),
        ("Match user a\nX\nMatch all", f"Match user a\nX\nMatch all\n{THREE}"),
        ("Match user a\nX\nmatch ALL # us\n", f"Match user a\nX\nmatch ALL # us\n{THREE}"),
        ("Match user a\nX", f"{THREE}Match user a\nX"),
        ("", THREE),
        ("\n", f"\n{THREE}"),
    ],
)
def test_directives_go_where_they_hold_for_everybody(before: str, after: str) -> None:
    assert set_directives(before, NO) == after


def test_directive_is_replaced_everywhere_outside_of_match_blocks() -> None:
    text = "ClientAliveInterval 0\nMatch user a\nMatch all\nClientAliveInterval 9\n"
    edited = set_directives(text, [("ClientAliveInterval", "180")])
    assert edited == "ClientAliveInterval 180\nMatch user a\nMatch all\nClientAliveInterval 180\n"


@pytest.mark.parametrize(
    "line",
    [
        "passwordauthentication yes",
        "  PasswordAuthentication yes",
        "PasswordAuthentication=yes",
        "\tPasswordAuthentication\tyes",
        '"PasswordAuthentication" "yes"',
        "PasswordAuthentication yes # open",
    ],
)
def test_directive_is_found_however_sshd_lets_it_be_written(line: str) -> None:
    edited = set_directives(f"{line}\n", [("PasswordAuthentication", "no")])
    assert edited == "PasswordAuthentication no\n"


def test_longer_directive_with_the_same_start_is_another_one() -> None:
    text = "ClientAliveIntervalX 1\n"
    edited = set_directives(text, [("ClientAliveInterval", "180")])
    assert edited == "ClientAliveIntervalX 1\nClientAliveInterval 180\n"


def test_match_block_that_is_indented_is_a_match_block() -> None:
    text = "Port 22\n  Match user a\n  PasswordAuthentication yes\n"
    edited = set_directives(text, [("PasswordAuthentication", "no")])
    assert edited == f"Port 22\nPasswordAuthentication no\n{text[8:]}"


def test_editing_twice_changes_nothing_more() -> None:
    once = set_directives("Port 22\nMatch host a\nX\n", NO)
    assert set_directives(once, NO) == once


def test_directive_that_stands_nowhere_is_not_added_by_replacing() -> None:
    text = "Port 22\nMatch user a\nUsePAM yes\n"
    assert replace_directive(text, ("UsePAM", "no")) == text
    assert replace_directive("usepam yes\n", ("UsePAM", "no")) == "UsePAM no\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A 1\n include x\nInclude y\n", "A 1\nUsePAM no\n include x\nInclude y\n"),
        ("Match user a\nInclude x\n", "Match user a\nInclude x\n"),
        ("Match all\nInclude x\n", "Match all\nUsePAM no\nInclude x\n"),
        (
            "Include x\nMatch user a\nInclude x\nMatch all\nInclude y\n",
            f"{NO_PAM}Include x\nMatch user a\nInclude x\nMatch all\n{NO_PAM}Include y\n",
        ),
        ("#Include x\n", "#Include x\n"),
        ("", ""),
    ],
)
def test_directive_goes_before_the_first_file_that_is_included_for_everybody(
    before: str, after: str
) -> None:
    assert set_before_includes(before, [("UsePAM", "no")]) == after


def test_effective_settings_are_read_by_their_first_value() -> None:
    text = "port 22\nhostkey a\nhostkey b\nempty\n"
    assert parse_effective(text) == {"port": "22", "hostkey": "a"}
