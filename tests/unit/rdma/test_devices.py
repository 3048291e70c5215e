"""The RDMA device gets its address in each of the three ways; what is missing is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import LOOPBACK, Guest, Link
from tests.support.runner import Answers, Argv, fails, missing, ok, times_out
from tests.unit.rdma.machine import ETH1, IPV4, MAC, ON, boot
from waagent.core.context import Context
from waagent.core.errors import AgentError, CommandFailed, GuestError
from waagent.rdma import devices
from waagent.rdma.texts import DeviceAddress

IB_HARDWARE = "00:00:01:00:fe:80:00:00:00:00:00:00:00:15:5d:ff:fe:33:ff:1d"
IB0 = Link("ib0", index=4, mac=IB_HARDWARE, type="32")
PAIR = DeviceAddress(MAC.replace(":", ""), IPV4)
PROVIDER = 'ofa-v2-ib0 u2.0 nonthreadsafe default libdaplofa.so.2 dapl.2.0 "ib0 0" ""\n'


def up(name: str) -> Argv:
    """The command that brings an interface up."""
    return ("ip", "link", "set", name, "up")


def add(name: str, ipv4: str = IPV4) -> Argv:
    """The command that gives it the address."""
    return ("ip", "addr", "add", f"{ipv4}/16", "dev", name)


def waited_s(guest: Guest) -> float:
    """How long the room has waited."""
    return sum(guest.clock.waits)


@pytest.mark.parametrize("link", [ETH1, IB0])
def test_pair_configures_the_device_with_its_mac(tmp_path: Path, link: Link) -> None:
    guest, context = boot(tmp_path, links=(LOOPBACK, link), commands={("ip",): ok()})
    devices.set_up_by_pairs(context, [PAIR])
    assert guest.ran == [up(link.name), add(link.name)]
    assert waited_s(guest) == 0


def test_address_that_is_there_already_is_as_it_should_be(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {up("eth1"): ok(), add("eth1"): fails(2, "File exists")}
    guest, context = boot(tmp_path, commands=commands)
    devices.set_up_by_pairs(context, [PAIR])
    assert len(guest.ran) == 2


def test_device_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    guest, context = boot(tmp_path, links=(LOOPBACK,), commands={("ip",): ok()})
    guest.clock.at(20.5, lambda: guest.write("/sys/class/net/eth1/address", f"{MAC}\n"))
    devices.set_up_by_pairs(context, [PAIR])
    assert guest.ran == [up("eth1"), add("eth1")]
    assert waited_s(guest) == 21


@pytest.mark.parametrize("answer", [fails(1, "no"), missing(), times_out()])
def test_pair_that_fails_or_never_comes_does_not_hold_up_the_others(
    tmp_path: Path, answer: Answers
) -> None:
    eth2 = Link("eth2", index=4, mac="00:15:5d:33:ff:1e")
    commands: dict[Argv, Answers] = {
        up("eth1"): answer,
        up("eth2"): ok(),
        add("eth2", "172.16.1.8"): ok(),
    }
    guest, context = boot(tmp_path, links=(LOOPBACK, ETH1, eth2), commands=commands)
    others = [
        DeviceAddress("00155d33ff1e", "172.16.1.8"),
        DeviceAddress("00155d33ff99", "172.16.1.9"),
    ]
    with pytest.raises(GuestError, match=r"every SR-IOV device.* no device came .*33ff99"):
        devices.set_up_by_pairs(context, [PAIR, *others])
    assert guest.ran[-1] == add("eth2", "172.16.1.8")
    assert waited_s(guest) == 60


def test_infiniband_device_without_pairs_gets_the_fabrics_address(tmp_path: Path) -> None:
    guest, context = boot(tmp_path, links=(LOOPBACK,), commands={("ip",): ok()})
    guest.clock.at(90.5, lambda: guest.write("/sys/class/infiniband/mlx5_0/x", ""))
    guest.clock.at(100.5, lambda: guest.write("/sys/class/net/ib0/address", f"{IB_HARDWARE}\n"))
    devices.set_up_sriov(context, IPV4)
    assert guest.ran == [up("ib0"), add("ib0")]
    assert waited_s(guest) == 101


@pytest.mark.parametrize(
    ("folders", "why", "within_s"),
    [([], "InfiniBand device", 120), (["/sys/class/infiniband/mlx5_0"], "interface ib", 60)],
)
def test_infiniband_device_that_never_comes_ends_the_wait(
    tmp_path: Path, folders: list[str], why: str, within_s: float
) -> None:
    guest, context = boot(tmp_path, folders=folders)
    with pytest.raises(GuestError, match=why):
        devices.set_up_sriov(context, IPV4)
    assert waited_s(guest) == within_s
    assert guest.ran == []


def test_wait_ends_when_the_agent_is_told_to_stop(tmp_path: Path) -> None:
    guest, context = boot(tmp_path)
    guest.clock.at(5.5, context.stop.set)
    with pytest.raises(GuestError):
        devices.set_up_sriov(context, IPV4)
    assert waited_s(guest) == 6


def direct(
    tmp_path: Path, version: str, *, conf: str = ON, place: str = "/etc/dat.conf"
) -> tuple[Guest, Context]:
    """A machine with a Network Direct driver of that version."""
    commands: dict[Argv, Answers] = {
        ("modprobe", "-R", "hv_network_direct"): ok("hv_network_direct_142_0\n"),
        ("modprobe", "hv_network_direct_142_0"): ok(),
        ("modinfo", "hv_network_direct_142_0"): ok(f"version:        {version}\n"),
        ("ip",): ok(),
    }
    return boot(tmp_path, conf=conf, files={place: PROVIDER}, commands=commands)


@pytest.mark.parametrize("place", devices.DAT_CONFS)
def test_new_driver_is_loaded_and_needs_no_device_file(tmp_path: Path, place: str) -> None:
    guest, context = direct(tmp_path, "4.1.0", place=place)
    devices.set_up_network_direct(context, IPV4, MAC.upper())
    assert f'"{IPV4} 0" ""' in guest.file(place)
    assert guest.ran[-2:] == [up("eth1"), add("eth1")]
    assert waited_s(guest) == 0


@pytest.mark.parametrize("version", ["4.0.9", "3.9.1", "none"])
def test_old_driver_is_told_the_address_by_its_device_file(tmp_path: Path, version: str) -> None:
    guest, context = direct(tmp_path, version)
    guest.clock.at(10.5, lambda: guest.write("/dev/hvnd_rdma", ""))
    devices.set_up_network_direct(context, IPV4, MAC)
    told = f'rdmaMacAddress="{MAC}" rdmaIPv4Address="{IPV4}"'
    assert guest.file("/dev/hvnd_rdma") == told
    assert guest.ran[-1] == add("eth1")


def test_device_file_that_never_comes_ends_the_wait(tmp_path: Path) -> None:
    guest, context = direct(tmp_path, "4.0.0")
    with pytest.raises(GuestError, match="/dev/hvnd_rdma"):
        devices.set_up_network_direct(context, IPV4, MAC)
    assert waited_s(guest) == 120


def test_driver_is_left_alone_where_its_check_is_forbidden(tmp_path: Path) -> None:
    guest, context = direct(tmp_path, "4.0.0", conf=ON + "OS.CheckRdmaDriver=n\n")
    devices.set_up_network_direct(context, IPV4, MAC)
    assert guest.ran == [up("eth1"), add("eth1")]


@pytest.mark.parametrize("answer", [fails(1, "not found"), missing(), times_out()])
def test_module_that_cannot_be_loaded_is_named(tmp_path: Path, answer: Answers) -> None:
    commands: dict[Argv, Answers] = {
        ("modprobe", "-R", "hv_network_direct"): fails(1),
        ("modprobe", "hv_network_direct"): answer,
    }
    _, context = boot(tmp_path, files={"/etc/dat.conf": PROVIDER}, commands=commands)
    with pytest.raises(AgentError, match="hv_network_direct"):
        devices.set_up_network_direct(context, IPV4, MAC)


def test_machine_without_dat_conf_is_no_machine_for_network_direct(tmp_path: Path) -> None:
    _, context = boot(tmp_path)
    with pytest.raises(GuestError, match=r"/etc/rdma/dat\.conf"):
        devices.set_up_network_direct(context, IPV4, MAC)


def test_interface_that_is_not_there_is_named_by_its_mac(tmp_path: Path) -> None:
    guest, context = direct(tmp_path, "4.1.0")
    guest.write("/sys/class/net/eth1/address", "00:00:00:00:00:09\n")
    with pytest.raises(GuestError, match=MAC):
        devices.set_up_network_direct(context, IPV4, MAC)


def test_interface_that_cannot_be_configured_is_an_error(tmp_path: Path) -> None:
    guest, context = direct(tmp_path, "4.1.0")
    answers = {**guest.runner.answers, ("ip",): fails(1, "no such device")}
    guest.runner.answers = answers
    with pytest.raises(CommandFailed, match="no such device"):
        devices.set_up_network_direct(context, IPV4, MAC)
