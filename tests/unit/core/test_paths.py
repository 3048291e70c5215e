"""Paths: every name that others rely on, and which folders are handlers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from waagent.core.conf import load
from waagent.core.paths import Paths, make_paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Those of an ordinary guest."""
    machine = Machine(folders=("/var/lib/waagent", "/run"), symlinks={"/var/run": "/run"})
    return make_paths(machine.boot(tmp_path).system, load(b"", "waagent.conf").conf)


def test_paths_are_those_that_others_rely_on(paths: Paths, tmp_path: Path) -> None:
    """Spec CLI 3 and 8; a link on the way is followed within the root."""
    root = tmp_path.resolve()
    lib = root / "var/lib/waagent"
    assert (paths.lib, paths.log) == (lib, root / "var/log/waagent.log")
    assert paths.pid_file == root / "run/waagent.pid"
    assert paths.extension_log == root / "var/log/azure"
    assert paths.dvd == root / "mnt/cdrom/secure"
    named = {
        "provisioned": paths.provisioned,
        "ovf-env.xml": paths.ovf_env,
        "CustomData": paths.custom_data,
        "disable_agent": paths.disable_agent,
        "published_hostname": paths.published_hostname,
        "Protocol": paths.protocol,
        "WireServerEndpoint": paths.endpoint,
        "TransportPrivate.pem": paths.transport_private,
        "TransportCert.pem": paths.transport_cert,
        "history": paths.history,
        "events": paths.events,
        "fast_track.json": paths.fast_track,
        "Some.Ext-1.2.3": paths.handler("Some.Ext", "1.2.3"),
        "Some.Ext__1.2.3.zip": paths.package("Some.Ext", "1.2.3"),
    }
    assert {path: lib / name for name, path in named.items()} == {p: p for p in named.values()}
    assert paths.handler_log("Some.Ext") == root / "var/log/azure/Some.Ext"


def test_handler_folders_are_told_from_everything_else(paths: Paths) -> None:
    """Names may have dashes; the agent's own folders, files and hidden folders are left out."""
    for folder in (
        "Some.Ext-1.2.3",
        "A-B-C-1.0",
        "WALinuxAgent-2.15.0.1",
        "events",
        ".Some.Ext-1.2.3.unpacked",
        "NoVersion-",
        "-1.0",
    ):
        (paths.lib / folder).mkdir()
    (paths.lib / "File-1.0").write_bytes(b"")
    found = [(name, version) for name, version, _ in paths.handler_folders()]
    assert found == [("A-B-C", "1.0"), ("Some.Ext", "1.2.3")]


def test_there_are_no_handlers_without_a_lib_dir(paths: Paths) -> None:
    """Before the first start."""
    paths.lib.rmdir()
    assert list(paths.handler_folders()) == []
    assert list(paths.secrets()) == []


def test_secrets_are_keys_certificates_and_the_documents_that_hold_them(paths: Paths) -> None:
    """Spec DAEMON 1.5; a public root certificate is none."""
    secret = {"A.crt", "A.prv", "x.p7m", "Certificates.pem", "Certificates.xml", "ovf-env.xml"}
    for name in (*secret, "microsoft_root_certificate.pem", "provisioned", "SharedConfig.xml"):
        (paths.lib / name).write_bytes(b"")
    assert {path.name for path in paths.secrets()} == secret
