"""The manual page, as the programs read it that show it."""

from __future__ import annotations

from tests.integration.init.tools import PROJECT, Outcome, require, run

PAGE = str(PROJECT / "docs/waagent.1")


def test_mandoc_finds_nothing_wrong_with_the_page() -> None:
    mandoc = require("mandoc", package="mandoc")
    assert run(mandoc, "-T", "lint", "-W", "warning", PAGE) == Outcome(0, "")


def test_groff_warns_of_nothing_and_shows_every_section() -> None:
    groff = require("groff", package="groff-base")
    assert run(groff, "-man", "-ww", "-z", PAGE) == Outcome(0, "")
    shown = run(groff, "-man", "-T", "ascii", "-P", "-c", "-P", "-b", "-P", "-u", PAGE).said
    for heading in ("SYNOPSIS", "COMMANDS", "OPTIONS", "EXIT STATUS", "FILES", "SERVICES"):
        assert f"\n{heading}\n" in shown
    synopsis = "waagent [-verbose] [-force] [-dry-run] [-configuration-path:file] command"
    assert synopsis in " ".join(shown.split())
