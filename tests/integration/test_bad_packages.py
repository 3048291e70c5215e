"""Manifests and packages that are damaged or hostile: their handler fails by name, and only it."""

from __future__ import annotations

import io
import json
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fabric import ECHO, Fabric, Vm, echo, echo_extension
from tests.fabric.addresses import MIRRORS
from tests.fabric.model import BLOCK_BLOB
from tests.fabric.world import Blob
from tests.support.agent import RootedAgent
from waagent.core.events import Op

BAD = "Fabric.Test.Bad"
LINK, PIPE, DISK = stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFBLK | 0o660


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootedAgent]:
    """The agent of a machine without certificates whose one extension has come to success."""
    with Fabric(Vm(has_certificates=False)) as fabric:
        fabric.portal.put_extension(echo_extension(secret=None))
        one = RootedAgent(tmp_path_factory.mktemp("machine"), fabric).start()
        one.turn()
        yield one


@pytest.fixture
def agent(shared: RootedAgent) -> RootedAgent:
    """That agent without the bad handler, and with nothing said yet."""
    shared.fabric.world.blobs.clear()
    shared.fabric.world.packages.clear()
    shared.fabric.portal.drop_extensions(BAD)
    shared.turn()
    assert not shared.handler(BAD).exists()
    for path in shared.paths.events.glob("*.tld"):
        path.unlink()
    return shared


def check_only_bad_fails(agent: RootedAgent, code: int, why: str, op: Op) -> None:
    """The turn reports the bad handler with code and text, and the good one's new settings."""
    outside = tree(agent)
    wanted = f"echo=good in {agent.fabric.vm.incarnation}"
    agent.fabric.portal.update_settings(ECHO, {"echo": wanted[5:]})
    agent.fabric.portal.put_extension(echo_extension(BAD, echo="repaired", secret=None))
    agent.new_status()
    assert agent.process.loop.failures_since_heartbeat == 0
    item = agent.item(BAD)
    message = item["formattedMessage"]["message"]
    assert (item["status"], item["code"]) == ("NotReady", code), message
    assert any(each in message for each in why.split("|")), message
    assert len(message) < 2000
    said = [event for event in agent.events(op) if not event["OperationSuccess"]]
    assert [event["Message"] for event in said] == [message]
    assert said[0]["Name"] == BAD
    assert wanted in agent.extension(ECHO)[2]
    assert tree(agent) - outside <= {f"var/log/azure/{BAD}", f"var/log/azure/{BAD}/events"}
    left = [path.name for path in agent.paths.lib.iterdir() if BAD in path.name]
    assert all(re.fullmatch(rf"{BAD}(-1\.0\.0|\.\d+\.manifest\.xml)", name) for name in left), left
    agent.new_status()
    assert agent.item(BAD)["formattedMessage"]["message"] == message, "it is said again and again"
    repair(agent)
    agent.new_status()
    assert "echo=repaired" in agent.extension(BAD)[2]
    assert wanted in agent.extension(ECHO)[2]


def tree(agent: RootedAgent) -> set[str]:
    """What is on the machine outside of the lib dir and of the logs' files."""
    return {
        str(path.relative_to(agent.root))
        for path in agent.root.rglob("*")
        if agent.paths.lib not in path.parents
        and not (path.is_file() and agent.root / "var" / "log" in path.parents)
    }


def repair(agent: RootedAgent) -> None:
    agent.fabric.world.blobs.clear()
    agent.fabric.world.packages.clear()
    agent.fabric.platform.change()


def put_manifest(agent: RootedAgent, body: bytes) -> None:
    """Every mirror has this in place of the bad handler's manifest."""
    for number in range(MIRRORS):
        path = urlsplit(agent.fabric.world.addresses.manifest(BAD, number)).path
        agent.fabric.world.blobs[path] = Blob(BLOCK_BLOB, body)


def manifest_of(*versions: str, uri: str = "http://nowhere.invalid/x") -> bytes:
    plugins = "".join(
        f"<Plugin><Version>{version}</Version><Uris><Uri>{uri}</Uri></Uris></Plugin>"
        for version in versions
    )
    text = f"<PluginVersionManifest><Plugins>{plugins}</Plugins></PluginVersionManifest>"
    return text.encode()


BAD_MANIFESTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cannot read the manifest: not well-formed XML"),
    "cut short": (manifest_of("1.0.0")[:60], "cannot read the manifest: not well-formed XML"),
    "a web page": (b"<html></html>", 'cannot read the manifest: the root is "html"'),
    "a document type": (
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
        "cannot read the manifest: a document type declaration is refused",
    ),
    "no versions": (manifest_of(), f"Unable to find version 1.0.0 in manifest for extension {BAD}"),
    "other versions": (manifest_of("2.0.0", "1.1"), "Unable to find version 1.0.0 in manifest"),
    "versions that are none": (manifest_of("../1.0.0", "", "x"), "Unable to find version 1.0.0"),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_manifest_that_cannot_be_used_fails_its_handler(agent: RootedAgent, kind: str) -> None:
    body, why = BAD_MANIFESTS[kind]
    put_manifest(agent, body)
    check_only_bad_fails(agent, -1, why, Op.EXTENSION_PROCESSING)


@pytest.mark.parametrize(
    "uri", ["", "file:///etc/passwd", "ftp://x/y", "no uri", "http://[::1", "http://"]
)
def test_manifest_without_a_usable_address_fails_its_handler(agent: RootedAgent, uri: str) -> None:
    put_manifest(agent, manifest_of("1.0.0", uri=uri))
    why = f"cannot download from {uri!r}: it is no URL" if uri else "names no URI"
    since = agent.now
    check_only_bad_fails(agent, 1001, why, Op.DOWNLOAD)
    messages = [e["Message"] for e in agent.events(Op.DOWNLOAD) if not e["OperationSuccess"]]
    assert f"Failed to download {BAD}__1.0.0.zip from all URIs" in messages[0]
    asked = agent.fabric.journal.entries("hgap.extensionartifact", since)
    assert asked == (), "the host is not asked for what is no address"


def zipped(*entries: tuple[str, bytes, int]) -> bytes:
    """A zip of names, contents and Unix modes, with a good handler in it."""
    out = io.BytesIO(echo.package("1.0.0"))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as bundle:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, content)
    return out.getvalue()


def lying(sizes: int) -> bytes:
    """Two entries that are said to unpack to another size than they do."""
    whole = bytearray(zipped(("a", b"0" * 50_000, 0o644), ("b", b"1" * 50_000, 0o644)))
    for signature, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = whole.find(signature)
        while start >= 0:
            if whole[start + place : start + place + 4] == struct.pack("<I", 50_000):
                whole[start + place : start + place + 4] = struct.pack("<I", sizes)
            start = whole.find(signature, start + 4)
    return bytes(whole)


def encrypted() -> bytes:
    """A zip whose entries are said to need a password."""
    whole = bytearray(zipped())
    for signature, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = whole.find(signature)
        while start >= 0:
            whole[start + place] |= 1
            start = whole.find(signature, start + 4)
    return bytes(whole)


GOOD = zipped()
NO_ZIP = "it is no whole zip"
LEAVES = "would leave the folder"
BAD_ZIPS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", NO_ZIP),
    "garbage": (b"garbage" * 1000, NO_ZIP),
    "cut short": (GOOD[: len(GOOD) // 2], NO_ZIP),
    "the end only": (GOOD[-300:], NO_ZIP + "|Invalid argument"),
    "slip": (zipped(("../../../../evil", b"x", 0o644)), f'"../../../../evil" {LEAVES}'),
    "slip on Windows": (zipped(("..\\..\\evil", b"x", 0o644)), LEAVES),
    "absolute": (zipped(("/tmp/evil", b"x", 0o644)), f'"/tmp/evil" {LEAVES}'),
    "a link": (zipped(("bin/evil", b"/etc", LINK)), '"bin/evil" is a link that would leave'),
    "a link upwards": (zipped(("bin/evil", b"../../..", LINK)), "is a link that would leave"),
    "through a link": (
        zipped(("d", b"/tmp", LINK), ("d/evil", b"x", 0o644)),
        '"d" is a link that would leave',
    ),
    "a pipe": (zipped(("evil", b"", PIPE)), '"evil" is a device, a pipe or a socket'),
    "a disk": (zipped(("evil", b"", DISK)), '"evil" is a device, a pipe or a socket'),
    "larger than said": (lying(10), NO_ZIP + "|larger than it says"),
    "a bomb": (lying(0xFFFFFFF0), "over 4294967296 bytes unpacked"),
    "a real bomb": (zipped(("zeros", bytes(200_000_000), 0o644)), "are a bomb"),
    "ten thousand files": (
        zipped(*((f"{number}", b"", 0o644) for number in range(9_997))),
        "it has 10000 entries, and 10000 are too many",
    ),
    "deep": (zipped(("evil/" * 200 + "x", b"", 0o644)), "is nested more than 100 deep"),
    "with a password": (encrypted(), "is encrypted, and nobody gave us a password"),
    "names in many lines": (
        zipped(("../\n[x] {}\x1b[2J", b"", 0o644)),
        r'"../\n[x] {}\x1b[2J" would',
    ),
    "a long name": (zipped(("a" * 300, b"x", 0o644)), "File name too long"),
    "a file and a folder": (
        zipped(("evil", b"x", 0o644), ("evil/evil", b"x", 0o644)),
        "File exists|Not a directory",
    ),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_package_that_cannot_be_unpacked_fails_its_handler(agent: RootedAgent, kind: str) -> None:
    package, why = BAD_ZIPS[kind]
    agent.fabric.platform.publish(BAD, "1.0.0", package)
    check_only_bad_fails(agent, 1001, why, Op.DOWNLOAD)
    assert not list(agent.root.rglob("evil"))
    assert not Path("/tmp/evil").exists()


def with_manifest(content: Any) -> bytes:
    """The good handler with another HandlerManifest.json."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return echo.archive({"HandlerManifest.json": data, "bin/handler.sh": echo.SCRIPT.encode()})


def without(command: str) -> list[dict[str, Any]]:
    manifest = echo.manifest()
    del manifest["handlerManifest"][command]
    return [manifest]


def command(line: str, why: str) -> tuple[bytes, int, str, Op]:
    """The good handler, but for its install command; how that fails."""
    return with_manifest([echo.manifest(installCommand=line)]), 1007, why, Op.INSTALL


MALFORMED = "Malformed manifest file."
BAD_HANDLERS: dict[str, tuple[bytes, int, str, Op]] = {
    "no manifest": (
        echo.archive({"bin/handler.sh": b"#!/bin/sh\n"}),
        -1,
        "HandlerManifest.json not found",
        Op.DOWNLOAD,
    ),
    "no JSON": (with_manifest(b"{"), 1003, "HandlerManifest.json", Op.DOWNLOAD),
    "deep": (with_manifest(b"[" * 90_000), 1003, "HandlerManifest.json", Op.DOWNLOAD),
    "half characters": (
        with_manifest(b'["\xff\xfe"]'),
        1003,
        "HandlerManifest.json",
        Op.DOWNLOAD,
    ),
    "huge": (with_manifest(b" " * (2 << 20)), 1002, "HandlerManifest.json", Op.DOWNLOAD),
    "a number": (with_manifest(7), -1, MALFORMED, Op.DOWNLOAD),
    "an empty list": (with_manifest([]), -1, MALFORMED, Op.DOWNLOAD),
    "no commands": (with_manifest([{"handlerManifest": None}]), -1, MALFORMED, Op.DOWNLOAD),
    "no install": (with_manifest(without("installCommand")), -1, "installCommand", Op.INSTALL),
    "a command that is a list": (
        with_manifest([echo.manifest(installCommand=["/bin/rm", "-rf", "/"])]),
        -1,
        "installCommand",
        Op.INSTALL,
    ),
    "a command with blanks": command("bin/my handler.sh install", "Non-zero exit code: 127, "),
    "a command with a quote": command('bin/handler.sh "install', "Non-zero exit code: 2, "),
    "a command with a zero": command("bin/handler.sh\0install", "Failed to launch '"),
    "a command of half characters": command("bin/\ud800", "Failed to launch '"),
    "a command of another alphabet": command("bin/\u00fc\u4e2d", "bin/\u00fc\u4e2d: not found"),
    "a command without end": command("bin/" + "x" * 200_000, "Argument list too long"),
    "an empty command": command("", "Non-zero exit code: 126, "),
    "a command of Windows": command("bin\\handler.exe install", "Non-zero exit code: 127, "),
    "an interpreter": command("python3 bin/handler.py -install", "Non-zero exit code: 127, "),
    "a script of Windows": (
        echo.archive(
            {
                "HandlerManifest.json": json.dumps([echo.manifest()]).encode(),
                "bin/handler.sh": echo.SCRIPT.replace("\n", "\r\n").encode(),
            }
        ),
        1007,
        "Non-zero exit code: 12",
        Op.INSTALL,
    ),
    "a command that is not there": (
        with_manifest([echo.manifest(installCommand="bin/none.sh install")]),
        1007,
        "bin/none.sh",
        Op.INSTALL,
    ),
}


@pytest.mark.parametrize("kind", BAD_HANDLERS)
def test_handler_that_does_not_say_how_it_is_run_fails_by_name(
    agent: RootedAgent, kind: str
) -> None:
    package, code, why, op = BAD_HANDLERS[kind]
    agent.fabric.platform.publish(BAD, "1.0.0", package)
    check_only_bad_fails(agent, code, why, op)


def test_handler_that_cannot_be_enabled_fails_by_name_until_a_better_version(
    agent: RootedAgent,
) -> None:
    agent.fabric.platform.publish(BAD, "1.0.0", with_manifest(without("enableCommand")))
    agent.fabric.portal.put_extension(echo_extension(BAD, echo="repaired", secret=None))
    agent.new_status()
    item = agent.item(BAD)
    assert (item["status"], item["code"]) == ("NotReady", -1)
    assert (
        "cannot enable: HandlerManifest.json has no enableCommand"
        in (item["formattedMessage"]["message"])
    )
    assert agent.extension(ECHO)[0] == "success"
    agent.fabric.portal.update_extension(BAD, version="1.0.1")
    agent.new_status()
    assert agent.item(BAD)["handlerVersion"] == "1.0.1"
    assert "echo=repaired" in agent.extension(BAD)[2]


def test_bad_new_version_leaves_the_old_one_in_place_and_working(agent: RootedAgent) -> None:
    agent.fabric.platform.publish(ECHO, "1.1.0", GOOD[: len(GOOD) // 2])
    (agent.handler(ECHO) / "mrseq").write_text("0")
    before = {path: path.read_bytes() for path in agent.handler(ECHO).glob("**/*.s*")}
    agent.fabric.portal.update_extension(ECHO, version="1.1.0")
    agent.new_status()
    assert agent.item(ECHO)["code"] == 1001
    assert {path: path.read_bytes() for path in before} == before
    assert (agent.handler(ECHO) / "config" / "HandlerState").read_text() == "Enabled"
    repair(agent)
    agent.new_status()
    assert agent.item(ECHO)["handlerVersion"] == "1.1.0"
    assert agent.extension(ECHO)[0] == "success"
    assert (agent.handler(ECHO, "1.1.0") / "mrseq").read_text() == "0"
