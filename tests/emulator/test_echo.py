"""The echo package is a real handler: its script is run as an agent would run it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Optional

import pytest
from cryptography.hazmat.primitives import serialization

from tests.fabric import Settings, echo
from tests.fabric.certificates import StoredCertificate
from tests.fabric.certificates import first_set as certificates
from tests.fabric.sealing import Sealer

NAME = "Fabric.Test.Echo"


class Guest:
    """A lib dir with one unpacked handler in it."""

    def __init__(self, root: Path, version: str = "1.0.0") -> None:
        self.lib = root / "var/lib/agent"
        self.log = root / "var/log"
        self.log.mkdir(parents=True)
        self.home = self.lib / f"{NAME}-{version}"
        self.home.mkdir(parents=True)
        package = root / "package.zip"
        package.write_bytes(echo.package(version))
        with zipfile.ZipFile(package) as bundle:
            bundle.extractall(self.home)
        (self.home / "bin/handler.sh").chmod(0o755)
        for folder in ("config", "status"):
            (self.home / folder).mkdir()
        folders = {f"{n}Folder": str(self.home / n) for n in ("config", "status")}
        environment = [{"name": NAME, "version": 1.0, "handlerEnvironment": folders}]
        (self.home / "HandlerEnvironment.json").write_text(json.dumps(environment))

    def give(self, item: Settings, sealer: Optional[Sealer] = None) -> None:
        """Write a settings file."""
        prefix = f"{item.name}.{item.seq_no}" if item.name else str(item.seq_no)
        text = json.dumps((sealer or Sealer(())).runtime_settings(item))
        (self.home / f"config/{prefix}.settings").write_text(text)

    def give_certificate(self, one: StoredCertificate) -> None:
        """Write the files that open protected settings."""
        assert one.key is not None
        pem = serialization.Encoding.PEM
        (self.lib / f"{one.thumbprint}.crt").write_bytes(one.certificate.public_bytes(pem))
        private = one.key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.lib / f"{one.thumbprint}.prv").write_bytes(private)

    def run(self, operation: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the manifest."""
        manifest = json.loads((self.home / "HandlerManifest.json").read_text())[0]
        line = manifest["handlerManifest"][f"{operation}Command"]
        return subprocess.run(
            ["/bin/sh", "-c", f"{self.home}/{line}"],
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "ConfigSequenceNumber": "0", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self, prefix: str = "0") -> dict[str, Any]:
        """The status that the handler wrote."""
        whole = json.loads((self.home / f"status/{prefix}.status").read_text())
        found: dict[str, Any] = whole[0]["status"]
        return found


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A guest with the handler unpacked."""
    return Guest(tmp_path)


@pytest.mark.parametrize("operation", ["install", "disable", "update", "uninstall", "resetState"])
def test_every_other_command_is_recorded_and_succeeds(guest: Guest, operation: str) -> None:
    result = guest.run(operation, AZURE_GUEST_AGENT_EXTENSION_VERSION="1.0.0")
    assert result.returncode == 0
    word = operation.replace("State", "")
    calls = (guest.log / "extension-calls.txt").read_text()
    assert f"== {word} handler={NAME} version=1.0.0 t=" in calls
    assert "env AZURE_GUEST_AGENT_EXTENSION_VERSION=1.0.0\n" in calls
    assert "env ConfigSequenceNumber=0\n" in calls
    assert f"fabric stdout of {word}" in result.stdout
    assert f"fabric stderr of {word}" in result.stderr


def test_enable_repeats_its_settings_in_the_status_of_its_sequence_number(guest: Guest) -> None:
    guest.give(Settings(4, {"echo": "hello"}))
    assert guest.run("enable", ConfigSequenceNumber="4").returncode == 0
    status = guest.status("4")
    assert status["status"] == "success"
    assert status["formattedMessage"]["message"] == "echo=hello secret_sha256=none"
    assert status["substatus"][0]["name"] == "sub"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="extensions need openssl themselves")
def test_enable_opens_its_protected_settings_with_the_certificate_files(guest: Guest) -> None:
    sealer = Sealer(certificates())
    assert sealer.tenant is not None
    guest.give(Settings(0, {"echo": "x"}, {"secret": "s3cret"}), sealer)
    assert guest.run("enable").returncode == 54
    guest.give_certificate(sealer.tenant)
    assert guest.run("enable").returncode == 0
    digest = hashlib.sha256(b"s3cret").hexdigest()
    assert guest.status()["formattedMessage"]["message"] == f"echo=x secret_sha256={digest}"


def test_enable_fails_with_the_exit_code_that_its_settings_ask_for(guest: Guest) -> None:
    guest.give(Settings(0, {"echo": "bad", "exit": 5}))
    assert guest.run("enable").returncode == 5
    assert (guest.status()["status"], guest.status()["code"]) == ("error", 12)


def test_enable_of_one_configuration_writes_that_ones_status(guest: Guest) -> None:
    guest.give(Settings(2, {"echo": "a"}, name="one"))
    result = guest.run("enable", ConfigSequenceNumber="2", ConfigExtensionName="one")
    assert result.returncode == 0
    assert guest.status("one.2")["name"] == "one"


def test_enable_can_be_silent(guest: Guest) -> None:
    guest.give(Settings(0, {"silent": True}))
    assert guest.run("enable").returncode == 0
    assert list((guest.home / "status").iterdir()) == []


def test_enable_without_settings_or_environment_says_what_is_missing(guest: Guest) -> None:
    assert "no settings file" in guest.run("enable").stderr
    (guest.home / "HandlerEnvironment.json").unlink()
    result = guest.run("enable")
    assert result.returncode == 51
    assert "no HandlerEnvironment.json" in result.stderr


def test_agent_package_runs_and_names_its_version(tmp_path: Path) -> None:
    package = tmp_path / "agent.zip"
    package.write_bytes(echo.agent_package("9.9.9.1"))
    with zipfile.ZipFile(package) as bundle:
        bundle.extractall(tmp_path)
    item = json.loads((tmp_path / "HandlerManifest.json").read_text())[0]
    words = item["handlerManifest"]["enableCommand"].split()
    assert words[-1] == "-run-exthandlers"
    with zipfile.ZipFile(tmp_path / words[2]) as egg:
        program = egg.read("__main__.py").decode()
    assert "fabric agent 9.9.9.1 runs" in program
    compile(program, "__main__", "exec")


def test_package_is_the_same_bytes_each_time() -> None:
    assert base64.b64encode(echo.package("1.0.0")) == base64.b64encode(echo.package("1.0.0"))
