"""RDMA at the start: in the order that logs know, and whatever fails, the machine boots on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

import pytest

from tests.support.runner import Answer, Answers, Argv, fails, missing, ok, times_out
from tests.unit.rdma.machine import ETH1, IPV4, MAC, ON, boot, pool
from waagent.core.errors import Unreachable
from waagent.protocol.documents.shared_config import SharedConfig
from waagent.rdma.setup import set_up_rdma

SHARED = SharedConfig(IPV4, MAC)
FOUND = f"Found RDMA details. IPv4={IPV4} MAC={MAC}"
PAIRS = f"NUMPAIRS:1|{MAC.replace(':', '')}:{IPV4}"
NO_VERSION = "RDMA: skip installing driver when ndversion not present"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that the room logs."""
    caplog.set_level(logging.INFO, logger="waagent.rdma")
    return caplog


def errors_of(said: pytest.LogCaptureFixture) -> list[str]:
    """The errors among it."""
    return [each.getMessage() for each in said.records if each.levelno == logging.ERROR]


def test_sriov_machine_gets_the_addresses_that_the_host_tells(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    guest, context = boot(tmp_path, told=pool(IPoIB_Data=PAIRS), commands={("ip",): ok()})
    set_up_rdma(context, lambda: SHARED)
    assert said.messages == [
        "RDMA: the host tells no NdDriverVersion",
        NO_VERSION,
        "RDMA capabilities are enabled in configuration",
        FOUND,
        "RDMA: waiting for 1 SR-IOV devices",
        f"RDMA: {ETH1.name} has the address {IPV4}",
        "RDMA: device is set up",
    ]
    assert guest.ran[-1][:3] == ("ip", "addr", "add")


@pytest.mark.parametrize("broken", [fails(1, "broken"), missing(), times_out()])
def test_command_that_does_not_work_is_an_error_in_the_log_and_no_more(
    tmp_path: Path, said: pytest.LogCaptureFixture, broken: Answer
) -> None:
    """Driver and device each: on Ubuntu every command is broken."""
    commands: dict[Argv, Answers] = {("ip",): broken, ("modprobe",): broken, ("modinfo",): broken}
    files = {"/etc/dat.conf": "x\n"}
    guest, context = boot(
        tmp_path,
        distro="ubuntu-22.04",
        told=pool(NdDriverVersion="142.0"),
        files=files,
        commands=commands,
    )
    set_up_rdma(context, lambda: SHARED)
    driver, device = errors_of(said)
    assert driver.startswith("RDMA: cannot install the driver: ")
    assert device.startswith("RDMA: device processing failed: ")
    assert len(guest.ran) >= 2


@pytest.mark.parametrize("told", [None, b"", b"\xff" * 5000, pool(NdDriverVersion="")])
def test_machine_whose_host_tells_nothing_looks_for_an_infiniband_device(
    tmp_path: Path, said: pytest.LogCaptureFixture, told: Optional[bytes]
) -> None:
    guest, context = boot(tmp_path, told=told)
    set_up_rdma(context, lambda: SHARED)
    assert NO_VERSION in said.messages
    assert errors_of(said)[-1].startswith(
        "RDMA: device processing failed: cannot find an InfiniBand device within 120 s"
    )
    assert guest.ran == []


def test_driver_is_not_installed_where_its_check_is_forbidden(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    conf = ON + "OS.CheckRdmaDriver=n\n"
    guest, context = boot(tmp_path, conf=conf, told=pool(NdDriverVersion="142.0"))
    set_up_rdma(context, lambda: SHARED)
    assert "RDMA: check RDMA driver is disabled, skip installing driver" in said.messages
    assert guest.ran == []


def test_distribution_that_is_not_known_is_told(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    _, context = boot(tmp_path, told=pool(NdDriverVersion="142.0"))
    set_up_rdma(context, lambda: SHARED)
    assert (
        "RDMA: No RDMA handler exists for distro='Debian GNU/Linux' version='12'" in said.messages
    )
    assert "RDMA: cannot install the driver" in errors_of(said)[0]


@pytest.mark.parametrize(
    "shared", [SharedConfig(None, MAC), SharedConfig(IPV4, None), SharedConfig(None, None)]
)
def test_machine_to_which_the_fabric_gave_no_address_is_left_alone(
    tmp_path: Path, said: pytest.LogCaptureFixture, shared: SharedConfig
) -> None:
    guest, context = boot(tmp_path, told=pool(IPoIB_Data=PAIRS))
    set_up_rdma(context, lambda: shared)
    assert errors_of(said)[-1].startswith("Error setting up rdma device: ")
    assert guest.ran == []


def test_fabric_that_does_not_answer_is_an_error_in_the_log(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    def fetch() -> SharedConfig:
        raise Unreachable("cannot reach the wire server")

    _, context = boot(tmp_path)
    set_up_rdma(context, fetch)
    assert errors_of(said)[-1] == "Error setting up rdma device: cannot reach the wire server"


def test_pairs_that_cannot_be_read_are_an_error_in_the_log(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    _, context = boot(tmp_path, told=pool(IPoIB_Data="NUMPAIRS:2|x"))
    set_up_rdma(context, lambda: SHARED)
    assert 'cannot read "IPoIB_Data"' in errors_of(said)[-1]
