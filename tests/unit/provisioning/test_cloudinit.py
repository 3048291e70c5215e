"""Waiting for cloud-init: as long as it may come, and no longer (spec DAEMON 5.9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Union

import pytest

from tests.fabric.media import OvfMedia, render_ovf_env
from tests.support.new_machine import LIB, World
from tests.support.runner import Answers, Argv, fails, ok
from waagent.core.errors import Exit
from waagent.provisioning import cloudinit
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.traces import find_reason_to_give_up

OVF = f"{LIB}/ovf-env.xml"
HOST_KEY = "/etc/ssh/ssh_host_rsa_key.pub"
KEY_TEXT = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== root@new\n"
RESULT = "/run/cloud-init/result.json"
STATUS = "/run/cloud-init/status.json"
DOCUMENT = render_ovf_env(OvfMedia())
ENABLED: dict[Argv, Answers] = {("systemctl", "is-enabled"): ok("enabled\n")}
# As Debian's cloud-init 22.4.2 writes it when no data source answers.
NO_SOURCE = json.dumps({"v1": {"datasource": None, "errors": ["No instance datasource found."]}})
ENDED = json.dumps({"v1": {"datasource": "DataSourceNone", "errors": []}})
FAILED = json.dumps({"v1": {"datasource": None, "errors": ["('init', OSError(5))", "b"]}})


def world(
    folder: Path, files: Mapping[str, Union[str, bytes]] = {}, *, disabled: bool = False
) -> World:
    return World(folder, files=files, commands={} if disabled else ENABLED)


def waited_s(made: World) -> float:
    return sum(made.guest.clock.waits)


def enabled_looks(made: World) -> int:
    return len([argv for argv in made.guest.ran if argv[:2] == ("systemctl", "is-enabled")])


@pytest.mark.parametrize("after_s", [0, 1, 59, 600, 1799])
def test_document_is_taken_when_it_appears(tmp_path: Path, after_s: int) -> None:
    made = world(tmp_path)
    made.guest.clock.at(after_s, lambda: made.guest.write(OVF, DOCUMENT))
    if not after_s:
        made.guest.write(OVF, DOCUMENT)
    assert cloudinit.wait_for_ovf_env(made.context).host_name == "fabric-vm"
    assert waited_s(made) == after_s


def test_document_that_never_comes_is_given_up_after_half_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = world(tmp_path)
    with (
        caplog.at_level("INFO"),
        pytest.raises(
            ProvisioningError, match=r"^Giving up, .*ovf-env\.xml was not there after 1800s$"
        ),
    ):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == 1800
    left = [
        int(str(record.args[1]))
        for record in caplog.records
        if record.msg.startswith("Waiting for") and isinstance(record.args, tuple)
    ]
    assert [1800 - each for each in left] == [0, 20, 40, 80, 160, 320, 640, 960, 1280, 1600]
    assert enabled_looks(made) == 10


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({RESULT: ENDED}, r"cloud-init has ended without it \(datasource DataSourceNone\)"),
        ({RESULT: FAILED}, r"cloud-init has ended with errors: \('init', OSError\(5\)\)"),
        ({RESULT: NO_SOURCE}, "cloud-init has ended with errors: No instance datasource found."),
        ({RESULT: "{"}, "cloud-init has ended without it"),
        ({RESULT: "[]"}, "cloud-init has ended without it"),
        ({RESULT: '{"v1": 7}'}, "cloud-init has ended without it"),
        ({"/run/cloud-init/disabled": ""}, "cloud-init is disabled by /run/cloud-init/disabled"),
        (
            {"/etc/cloud/cloud-init.disabled": ""},
            "cloud-init is disabled by /etc/cloud/cloud-init.disabled",
        ),
    ],
)
def test_document_is_given_up_early_when_there_is_a_reason(
    tmp_path: Path, files: Mapping[str, str], reason: str
) -> None:
    made = world(tmp_path, files)
    with pytest.raises(
        ProvisioningError, match=f"^Giving up, .*ovf-env.xml was not there: {reason}"
    ):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == 60


def test_document_of_a_cloud_init_that_is_absent_is_given_up_early(tmp_path: Path) -> None:
    made = world(tmp_path, disabled=True)
    with pytest.raises(ProvisioningError, match=r"is not enabled and has not run; is Provisioning"):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == 60


@pytest.mark.parametrize("files", [{}, {STATUS: "{}"}])
def test_cloud_init_that_has_failed_is_given_up_early(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    """Its own files say nothing when it could not even be started."""
    commands: dict[Argv, Answers] = {**ENABLED, ("systemctl", "is-failed"): ok()}
    made = World(tmp_path, files=files, commands=commands)
    with pytest.raises(ProvisioningError, match=r"cloud-init has failed; see journalctl -u cloud-"):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == 60


def test_cloud_init_that_ends_while_we_wait_is_noticed(tmp_path: Path) -> None:
    made = world(tmp_path, {STATUS: "{}"})
    made.guest.clock.at(301.0, lambda: made.guest.write(RESULT, ENDED))
    with pytest.raises(ProvisioningError, match="has ended without it"):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == 310 + 60


def test_what_comes_within_the_grace_after_the_end_is_taken(tmp_path: Path) -> None:
    made = world(tmp_path, {RESULT: ENDED})
    made.guest.clock.at(55.0, lambda: made.guest.write(HOST_KEY, KEY_TEXT))
    assert cloudinit.wait_for_host_key(made.context, "rsa").startswith("SHA256")


def test_cloud_init_that_runs_though_it_is_not_enabled_is_waited_for(tmp_path: Path) -> None:
    made = world(tmp_path, {STATUS: "{}"}, disabled=True)
    made.guest.clock.at(900.0, lambda: made.guest.write(OVF, DOCUMENT))
    assert cloudinit.wait_for_ovf_env(made.context).user_name == "azureuser"


@pytest.mark.parametrize("cut", [0, 1, 100, len(DOCUMENT) - 20])
def test_document_that_is_being_written_is_read_again(tmp_path: Path, cut: int) -> None:
    made = world(tmp_path, {OVF: DOCUMENT[:cut]})
    made.guest.clock.at(4.0, lambda: made.guest.write(OVF, DOCUMENT))
    assert cloudinit.wait_for_ovf_env(made.context).user_name == "azureuser"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<a/>", "Failed to validate OVF: Environment not found"),
        (DOCUMENT[:-30], "not well-formed XML"),
        (b"", "not well-formed XML|it is empty"),
    ],
)
def test_document_that_stays_unusable_is_an_error_that_names_it(
    tmp_path: Path, data: bytes, why: str
) -> None:
    made = world(tmp_path, {OVF: data})
    with pytest.raises(ProvisioningError, match=rf"OVF xml could not be parsed \[.*\]: .*({why})"):
        cloudinit.wait_for_ovf_env(made.context)
    assert waited_s(made) == cloudinit.HALF_WRITTEN_S


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
def test_host_key_is_taken_when_it_can_be_read(tmp_path: Path, key_type: str) -> None:
    made = world(tmp_path)
    path = f"/etc/ssh/ssh_host_{key_type}_key.pub"
    made.guest.clock.at(30.0, lambda: made.guest.write(path, "ssh-rsa"))
    made.guest.clock.at(33.0, lambda: made.guest.write(path, KEY_TEXT))
    assert cloudinit.wait_for_host_key(made.context, key_type).startswith("SHA256")
    assert waited_s(made) == 33


def test_host_key_that_never_comes_is_given_up(tmp_path: Path) -> None:
    made = world(tmp_path)
    with pytest.raises(
        ProvisioningError, match=r"Giving up, ssh host key .*rsa_key\.pub was not there after 1800s"
    ):
        cloudinit.wait_for_host_key(made.context, "rsa")


def test_waiting_ends_when_the_daemon_is_told_to_stop(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.guest.clock.at(25.5, made.context.stop.set)
    with pytest.raises(Exit) as left:
        cloudinit.wait_for_ovf_env(made.context)
    assert left.value.code == 0
    assert waited_s(made) <= 26


@pytest.mark.parametrize("is_enabled", [True, False])
def test_cloud_init_that_has_begun_is_never_given_up(tmp_path: Path, is_enabled: bool) -> None:
    files = {STATUS: "{}", "/etc/cloud/cloud-init.disabled": "", "/run/cloud-init/disabled": ""}
    system = World(tmp_path, files=files).guest.system
    assert find_reason_to_give_up(system, is_enabled=is_enabled) is None


def test_enabled_cloud_init_without_traces_may_still_come(tmp_path: Path) -> None:
    system = World(tmp_path, commands={("systemctl",): fails(1)}).guest.system
    assert find_reason_to_give_up(system, is_enabled=True) is None
