"""Packages in the shapes that publishers really make, unmodified, as real scripts.

Which of them work is said by spec EXT 3.4 to 3.8 and App. F.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.extensions.processes import ends, is_alive
from tests.unit.extensions.world import OPERATIONS, World, goal, manifest_json, one, zipped
from waagent.core.clock import SystemClock
from waagent.extensions.state import HandlerState, read_state
from waagent.protocol.documents.handlers import RequestedState
from waagent.protocol.documents.status import NOT_READY, READY

SUCCESS = (
    '[{"version": 1.0, "timestampUTC": "2026-11-24T10:00:00Z", "status": {"name": "N",'
    ' "operation": "Enable", "status": "success", "code": 0,'
    ' "formattedMessage": {"lang": "en-US", "message": "from %s"}}}]'
)

# As the extensions in Python do it: environment as a list, settings by number or by age.
PYTHON = rf"""#!{sys.executable}
import json, os, sys
with open(os.path.join(os.getcwd(), "HandlerEnvironment.json")) as stream:
    environment = json.load(stream)[0]
folders = environment["handlerEnvironment"]
assert environment["version"] == 1.0
assert os.environ["AZURE_GUEST_AGENT_EXTENSION_PATH"] == os.getcwd()
number = os.environ.get("ConfigSequenceNumber")
if "--by-age" in sys.argv:
    names = [n for n in os.listdir(folders["configFolder"]) if n.endswith(".settings")]
    age = lambda name: os.path.getmtime(os.path.join(folders["configFolder"], name))
    number = max(names, key=age)[: -len(".settings")]
with open(os.path.join(folders["configFolder"], number + ".settings")) as stream:
    text = stream.read()
with open(os.path.join(folders["logFolder"], "handler.log"), "a") as log:
    log.write("%s %s\n" % (" ".join(sys.argv[1:]), number))
if "enable" in sys.argv[1]:
    settings = json.loads(text)["runtimeSettings"][0]["handlerSettings"]
    assert settings["protectedSettings"] is None
    status = {SUCCESS!r} % json.dumps(settings["publicSettings"]).replace('"', "'")
    path = os.path.join(folders["statusFolder"], number + ".status")
    with open(path + ".tmp", "w") as stream:
        stream.write(status)
    os.rename(path + ".tmp", path)
"""

# Looks for an interpreter and hands over to it, as the extensions' shims do.
SHIM = rf"""#!/usr/bin/env bash
for each in python99 {sys.executable}; do
    command -v "$each" >/dev/null 2>&1 && PYTHON=$each
done
COMMAND="./bin/handler.py $*"
echo "Effective command: $COMMAND" >&2
exec $PYTHON $COMMAND
"""

# Runs what it was told to run behind the agent's back: the status comes when it comes.
DAEMON = r"""#!/bin/bash
set -euo pipefail
readonly dir=$(dirname "${BASH_SOURCE[0]}")
if [ "$1" = enable ]; then
    if [ -f mrseq ] && [ "$(cat mrseq)" -ge "$ConfigSequenceNumber" ]; then exit 0; fi
    nohup "$dir/work" "$ConfigSequenceNumber" >>work.log 2>&1 &
    echo "started $!"
fi
"""
WORK = f"""#!/bin/sh
echo $$ >work.pid
read -r _ <go
printf '{SUCCESS}' behind >"status/$1.status"
echo "$1" >mrseq
exec sleep 60
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A guest and an empty store."""
    return World(tmp_path)


def manifest(line: str, **options: Any) -> bytes:
    """A manifest whose commands are this line with the operation in it."""
    commands = {f"{name}Command": line.replace("@", name) for name in OPERATIONS}
    return json.dumps(manifest_json(**{**commands, **options})).encode()


def awaited(look: Callable[[], bool]) -> None:
    """Return when it is so."""
    assert any(look() or SystemClock().wait(None, 0.02) for _ in range(1000))


def carry_out(world: World, files: dict[str, bytes], goal_number: int = 0) -> str:
    """Install and enable this package; what the enabled extension says, or what went wrong."""
    world.store.publish("1.0.0", zipped(files))
    wanted = goal(one(), number=goal_number)
    world.extensions.process(wanted)
    (record,) = world.extensions.statuses(wanted)
    if record.status == NOT_READY:
        return str(record.message)
    assert record.status == READY
    assert record.extension is not None
    return str(record.extension.message)


def log_of(world: World) -> list[str]:
    """What the handler in Python has written down."""
    return (world.home("1.0.0").log_folder / "handler.log").read_text().splitlines()


@pytest.mark.parametrize(
    "line", ["bin/handler.py @", "/bin/handler.py @", "//bin/../bin/handler.py @"]
)
def test_handler_in_python_reads_its_environment_and_reports(world: World, line: str) -> None:
    files = {"HandlerManifest.json": manifest(line), "bin/handler.py": PYTHON.encode()}
    assert carry_out(world, files) == "from {'a': 1}"
    assert log_of(world) == ["install 0", "enable 0"]


def test_shim_with_options_finds_its_interpreter(world: World) -> None:
    files = {
        "HandlerManifest.json": b"\xef\xbb\xbf" + manifest("bin/shim.sh -@ --mode 'a b' # remark"),
        "bin/shim.sh": SHIM.encode(),
        "bin/handler.py": PYTHON.encode(),
    }
    assert carry_out(world, files) == "from {'a': 1}"
    assert log_of(world) == ["-install --mode a b 0", "-enable --mode a b 0"]


def test_handler_that_takes_the_newest_settings_gets_those_it_is_called_for(world: World) -> None:
    files = {
        "HandlerManifest.json": manifest("bin/handler.py @ --by-age"),
        "bin/handler.py": PYTHON.encode(),
    }
    for number, name in enumerate(["3", "4", "3"]):
        for path in world.home("1.0.0").config.glob("*.settings"):
            os.utime(path, (number, number))  # the clock is no finer than a file system
        world.store.publish("1.0.0", zipped(files))
        world.extensions.process(goal(one(int(name)), number=number))
    assert log_of(world)[1:] == ["enable --by-age 3", "enable --by-age 4", "enable --by-age 3"]


def test_extension_that_works_behind_the_agents_back_is_transitioning_until_it_has_ended(
    world: World,
) -> None:
    files = {
        "HandlerManifest.json": manifest("bin/shim @"),
        "bin/shim": DAEMON.encode(),
        "bin/work": WORK.encode(),
    }
    folder = world.home("1.0.0").folder
    folder.mkdir()
    os.mkfifo(folder / "go")
    assert "no status file was reported" in carry_out(world, files)
    (folder / "go").write_text("\n")
    awaited(lambda: (folder / "mrseq").exists() and (folder / "mrseq").stat().st_size > 0)
    pid = int((folder / "work.pid").read_text())
    try:
        assert is_alive(pid)
        assert carry_out(world, files, goal_number=1) == "from behind"
        assert is_alive(pid)
    finally:
        os.kill(pid, 9)
        assert ends(pid)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ({"Top/HandlerManifest.json": "", "Top/bin/handler.py": PYTHON}, "Top/bin/handler.py @"),
        ({"HandlerManifest.json": "", "bin\\handler.py": PYTHON}, "bin/handler.py @"),
        (
            {"HandlerManifest.json": "", "bin\\handler.py": PYTHON, "bin\\": ""},
            "./bin/handler.py @",
        ),
        (
            {"HandlerManifest.json": "", "bin/handler.py": PYTHON},
            "bin/handler.py @ >out 2>&1; true",
        ),
        ({"HandlerManifest.json": "", "bin/a b/h.py": PYTHON}, '"bin/a b/h.py" @'),
    ],
)
def test_unusual_package_works(world: World, names: dict[str, str], line: str) -> None:
    files = {name: text.encode() for name, text in names.items()}
    files = {n: manifest(line) if n.endswith("Manifest.json") else c for n, c in files.items()}
    assert carry_out(world, files) == "from {'a': 1}"


def test_command_may_lead_out_of_its_folder(world: World) -> None:
    """What a publisher writes there runs as root anyway."""
    tool = world.paths.lib / "tool.sh"
    tool.write_text(f"#!/bin/sh\nprintf '{SUCCESS}' tool >status/0.status\n")
    tool.chmod(0o755)
    assert carry_out(world, {"HandlerManifest.json": manifest("../tool.sh @")}) == "from tool"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("python3 bin/handler.py -@", "Non-zero exit code: 127, "),
        ("FOO=1 bin/handler.py @", "Non-zero exit code: 127, "),
        ("bin", "Non-zero exit code: 126, "),
        ("bin/crlf.sh @", "Non-zero exit code: 12"),  # 126 where sh is bash
        ("bin/handler.py", "Non-zero exit code: 1, "),
    ],
)
def test_shape_that_never_worked_fails_by_name(world: World, line: str, why: str) -> None:
    """The line is looked for below the handler's folder; the portal shows what the shell says."""
    files = {
        "HandlerManifest.json": manifest(line),
        "bin/handler.py": PYTHON.encode(),
        "bin/crlf.sh": b"#!/bin/sh\r\nexit 0\r\n",
    }
    said = carry_out(world, files)
    shown = f"{world.home('1.0.0').folder}/{line.replace('@', 'install')}\n[stdout]\n"
    assert said.startswith(f"[ExtensionOperationError] {why}")
    assert shown in said
    assert read_state(world.home("1.0.0")) is HandlerState.NOT_INSTALLED


def test_handler_that_removes_its_own_folder_is_gone(world: World) -> None:
    """Some uninstall so; nobody minds."""
    files = {
        "HandlerManifest.json": manifest("bin/run.sh @"),
        "bin/run.sh": b'#!/bin/sh\n[ "$1" != uninstall ] || rm -rf "$PWD"\n',
    }
    carry_out(world, files)
    gone = goal(one(state=RequestedState.UNINSTALL), number=9)
    world.extensions.process(gone)
    assert world.folders() == []
    assert world.extensions.statuses(gone) == ()
