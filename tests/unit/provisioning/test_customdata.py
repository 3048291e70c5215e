"""Custom data: kept as bytes, run once, never longer than an hour (spec DAEMON 5.7)."""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.new_machine import LIB, World
from tests.support.runner import Answers, Argv, fails, ok, times_out
from waagent.core.clock import SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.context import Context
from waagent.core.system import real_system
from waagent.provisioning.customdata import MAX_UNPACKED, save_custom_data
from waagent.provisioning.errors import ProvisioningError

DECODES = "Provisioning.DecodeCustomData=y"
EXECUTES = "Provisioning.ExecuteCustomData=y"
PATH = f"{LIB}/CustomData"
SHELL: Argv = ("/bin/sh", "-c", PATH)
SCRIPT = b"#!/bin/sh\nexit 0\n"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def world(folder: Path, conf: str = "", commands: Mapping[Argv, Answers] = {}) -> World:
    return World(folder, conf=conf, commands=commands)


@pytest.mark.parametrize("text", ["aGVsbG8=", "not base64 at all", "  spaced\n", "\N{BULLET}"])
def test_custom_data_is_kept_as_it_came(tmp_path: Path, text: str) -> None:
    made = world(tmp_path)
    save_custom_data(made.context, text)
    assert made.guest.path(PATH).read_bytes() == text.encode()
    assert made.guest.mode(PATH) == 0o600
    assert made.guest.ran == []


@pytest.mark.parametrize(
    "data", [b"hello", b"", b"\x1f\x8b\x08\0\xff", bytes(range(256)), b"\xe2\x82\xac", b"x" * 65536]
)
def test_custom_data_is_decoded_to_the_very_bytes(tmp_path: Path, data: bytes) -> None:
    made = world(tmp_path, DECODES)
    save_custom_data(made.context, encoded(data))
    assert made.guest.path(PATH).read_bytes() == data
    assert made.guest.mode(PATH) == 0o600


def test_lines_in_the_encoding_do_no_harm(tmp_path: Path) -> None:
    made = world(tmp_path, DECODES)
    text = encoded(b"long" * 100)
    save_custom_data(made.context, "\r\n".join([text[:76], text[76:152], text[152:], ""]))
    assert made.guest.path(PATH).read_bytes() == b"long" * 100


@pytest.mark.parametrize("text", ["!", "aGVsbG8", "aGVs bG8", "aGVsbG8=x", "\N{BULLET}", "<a/>"])
@pytest.mark.parametrize("conf", [DECODES, EXECUTES])
def test_custom_data_that_is_no_base64_is_an_error_and_leaves_nothing(
    tmp_path: Path, text: str, conf: str
) -> None:
    made = world(tmp_path, conf)
    with pytest.raises(ProvisioningError, match="cannot decode the custom data: it is not base64"):
        save_custom_data(made.context, text)
    assert not made.has("CustomData")
    assert not made.has("custom_data_started")


def test_custom_data_is_run_through_the_shell_and_told(tmp_path: Path) -> None:
    made = world(tmp_path, EXECUTES, {SHELL: ok()})
    save_custom_data(made.context, encoded(SCRIPT))
    assert made.guest.ran == [SHELL]
    assert made.guest.runner.calls[0].timeout_s == 3600.0
    assert made.guest.mode(PATH) == 0o700
    assert made.events("CustomData") == [(True, "Custom data was executed")]


@pytest.mark.parametrize("answer", [fails(3), fails(126), fails(-9), times_out()])
def test_custom_data_that_fails_does_not_fail_the_machine(tmp_path: Path, answer: Answers) -> None:
    made = world(tmp_path, EXECUTES, {SHELL: answer})
    save_custom_data(made.context, encoded(SCRIPT))
    assert [outcome for outcome, _ in made.events("CustomData")] == [True]


def test_custom_data_is_run_once_however_often_it_is_saved(tmp_path: Path) -> None:
    made = world(tmp_path, EXECUTES, {SHELL: ok()})
    for _ in range(3):
        save_custom_data(made.context, encoded(SCRIPT))
    assert made.guest.ran == [SHELL]


def test_custom_data_that_was_running_at_a_crash_is_not_run_again(tmp_path: Path) -> None:
    def crash(_argv: Argv, _stdin: bytes) -> None:
        raise KeyboardInterrupt

    made = world(tmp_path, EXECUTES, {SHELL: ok(do=crash)})
    with pytest.raises(KeyboardInterrupt):
        save_custom_data(made.context, encoded(SCRIPT))
    save_custom_data(made.context, encoded(SCRIPT))
    assert made.guest.ran == [SHELL]


def test_custom_data_runs_on_a_machine_made_of_an_image_on_which_it_ran(tmp_path: Path) -> None:
    made = world(tmp_path, EXECUTES, {SHELL: ok()})
    made.guest.write(f"{LIB}/custom_data_started", "11111111-2222-3333-4444-555555555555")
    save_custom_data(made.context, encoded(SCRIPT))
    assert made.guest.ran == [SHELL]


def really(made: World, folder: str) -> Context:
    """The same context, but with this machine's own shell, and a lib dir of that name."""
    lib = made.folder / folder
    lib.mkdir()
    system = replace(real_system(), runner=ProcessRunner(os.environ), clock=SystemClock())
    paths = replace(made.paths, lib=lib)
    return replace(made.context, system=system, paths=paths)


@pytest.mark.parametrize("first_line", [b"#!/bin/sh\n", b"", b"#!/usr/bin/env sh\n"])
def test_script_is_really_run_whatever_its_folder_is_called(
    tmp_path: Path, first_line: bytes
) -> None:
    context = really(world(tmp_path, EXECUTES), "a lib; dir 'quoted'")
    done = tmp_path / "done"
    save_custom_data(context, encoded(first_line + f"echo done >'{done}'\n".encode()))
    assert done.read_text() == "done\n"


def test_compressed_script_is_kept_as_it_came_and_run_unpacked(tmp_path: Path) -> None:
    context = really(world(tmp_path, EXECUTES), "lib")
    done = tmp_path / "done"
    packed = gzip.compress(f"#!/bin/sh\necho done >{done}\n".encode())
    save_custom_data(context, encoded(packed))
    assert done.read_text() == "done\n"
    assert context.paths.custom_data.read_bytes() == packed
    assert sorted(path.name for path in context.paths.lib.iterdir() if path.is_file()) == [
        "CustomData",
        "custom_data_started",
    ]


def test_unpacked_script_of_an_attempt_that_was_killed_is_removed(tmp_path: Path) -> None:
    def crash(_argv: Argv, _stdin: bytes) -> None:
        made.guest.write(f"{PATH}.unpacked", "half")
        raise KeyboardInterrupt

    made = world(tmp_path, EXECUTES, {SHELL: ok(do=crash)})
    with pytest.raises(KeyboardInterrupt):
        save_custom_data(made.context, encoded(SCRIPT))
    made.guest.write(f"{PATH}.unpacked", "half")
    save_custom_data(made.context, encoded(SCRIPT))
    assert not made.has("CustomData.unpacked")


@pytest.mark.parametrize(
    "packed",
    [
        b"\x1f\x8b",
        b"\x1f\x8bnothing",
        gzip.compress(b"x" * 5000)[:-9],
        gzip.compress(bytes(MAX_UNPACKED + 1)),
    ],
    ids=["empty", "damaged", "cut", "bomb"],
)
def test_compressed_script_that_cannot_be_unpacked_is_told_and_not_run(
    tmp_path: Path, packed: bytes
) -> None:
    made = world(tmp_path, EXECUTES)
    save_custom_data(made.context, encoded(packed))
    assert made.guest.ran == []
    ((_, told),) = made.events("CustomData")
    assert told.startswith("The custom data cannot be executed: ")


def test_end_of_what_the_script_prints_is_in_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = world(tmp_path, EXECUTES, {SHELL: fails(3, "x" * 9000, stdout="a\n" * 1000)})
    with caplog.at_level("INFO"):
        save_custom_data(made.context, encoded(SCRIPT))
    told = [text for text in caplog.messages if text.startswith("Custom data: ")]
    assert told == ["Custom data: a"] * 49 + ["Custom data: " + "x" * 500]
    assert made.events("CustomData") == [(True, "The custom data ended with code 3")]
