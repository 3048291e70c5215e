"""The command's own parts: preparation, names, results, the stopwatch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bench import stopwatch
from tests.bench.__main__ import build_parser, name_agents, write_results
from tests.bench.prepare import KEYS, QUIET, render_keys_script
from tests.unit.bench.samples import whole_round


def test_keys_are_set_whether_they_were_there_or_not(tmp_path: Path) -> None:
    """Once each, and nothing else is touched."""
    conf = tmp_path / "waagent.conf"
    conf.write_text(
        "# AutoUpdate.Enabled=y\nExtensions.Enabled=n\nLogs.Collect=y", encoding="utf-8"
    )
    script = render_keys_script().replace("/etc/waagent.conf", str(conf))
    subprocess.run(["sh", "-euc", script], check=True)
    lines = [line for line in conf.read_text(encoding="utf-8").splitlines() if line]
    expected = ["# AutoUpdate.Enabled=y", "Logs.Collect=y", *(f"{k}={v}" for k, v in KEYS.items())]
    assert sorted(lines) == sorted(expected)


def test_preparation_is_one_that_a_shell_understands() -> None:
    """It runs in the image, with errors being the end of it."""
    done = subprocess.run(["sh", "-n", "-c", QUIET], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_agents_have_names_that_differ() -> None:
    """Two builds of one package can be compared."""
    words = ["ours", "debian", "/a/waagent.deb", "/b/waagent.deb"]
    assert name_agents(words) == ["ours", "debian", "waagent.deb", "waagent.deb #2"]


def test_results_hold_every_raw_number(tmp_path: Path) -> None:
    """Also of a run that is not over yet."""
    args = build_parser().parse_args(["--out", str(tmp_path)])
    write_results(args, [whole_round("ours")], ["ours", "debian"])
    document = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert document["rounds"][0]["changes_s"] == [4.0, 5.0, 9.0]
    assert document["rounds"][0]["idle"]["requests"]["hgap.status"] == 50
    assert document["settings_of_every_agent"] == KEYS
    ready = next(f for f in document["figures"] if f["key"] == "ready")
    assert ready["medians"] == {"ours": 5.0, "debian": None}
    assert (tmp_path / "bench.txt").read_text(encoding="utf-8").count("\n") > 20
    assert (tmp_path / "boot.svg").read_text(encoding="utf-8").startswith("<svg")


def test_stopwatch_times_commands_in_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """The same number of times each."""
    assert stopwatch.main(["3", "true", "test 1 = 1"]) == 0
    times = json.loads(capsys.readouterr().out)
    assert {command: len(seen) for command, seen in times.items()} == {"true": 3, "test 1 = 1": 3}
    assert min(times["true"]) > 0


def test_stopwatch_fails_with_the_command() -> None:
    """A command that does not work is fast, and worth nothing."""
    with pytest.raises(subprocess.CalledProcessError):
        stopwatch.main(["1", "false"])
