"""The driver of each distribution: installed when it is missing, left alone when it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Guest
from tests.support.runner import Answer, Answers, Argv, fails, missing, ok, times_out
from tests.unit.environment.machine import process_files
from tests.unit.rdma.machine import LIB, ON, boot
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError
from waagent.guest.release import Release
from waagent.rdma import apt, yum, zypper
from waagent.rdma.drivers import find_install

VERSION = "142.0"
KERNEL = "/proc/sys/kernel/osrelease"
SHUTDOWN: Argv = ("shutdown", "-r", "now")
SLES = Release("sles", "12.3", "", "SLES")
CENTOS = Release("centos", "7.4.1708", "", "CentOS Linux")
UBUNTU = Release("ubuntu", "18.04", "", "Ubuntu")
BROKEN = [fails(1, "broken"), missing(), times_out()]


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("SLES", "12.3", zypper.install),
        ("SUSE Linux Enterprise Server", "15", zypper.install),
        ("SLES", "11", None),
        ("CentOS Linux", "7", yum.install),
        ("Red Hat Enterprise Linux Server", "7.9", yum.install),
        ("Rocky Linux", "8.5", yum.install),
        ("Ubuntu", "22.04", apt.install),
        ("Debian GNU/Linux", "12", None),
        ("", "", None),
    ],
)
def test_distribution_has_the_driver_of_its_family(
    name: str, version: str, expected: object
) -> None:
    assert find_install(Release("x", version, "", name)) is expected


# SUSE

SEARCH: Argv = ("zypper", "-n", "se", "-s", "msft-rdma-kmp-azure")
HEAD = "S | Name | Type | Version | Arch | Repository\n--+---\n"


def row(state: str, version: str, name: str = "msft-rdma-kmp-azure") -> str:
    """A line of zypper's table."""
    return f"{state} | {name} | package | {version} | x86_64 | repo\n"


def suse(tmp_path: Path, table: str, commands: dict[Argv, Answers]) -> tuple[Guest, Context]:
    """A SUSE machine with that table of packages."""
    every = {SEARCH: ok(HEAD + table), **commands}
    return boot(tmp_path, files={KERNEL: "4.4.131-azure\n"}, commands=every)


def test_suse_with_the_right_driver_is_left_alone(tmp_path: Path) -> None:
    guest, context = suse(tmp_path, row("i+", "20170609_142.0_k4.4"), {})
    zypper.install(context, SLES, VERSION)
    assert guest.ran == [SEARCH]


def test_suse_since_15_has_the_driver_in_its_kernel(tmp_path: Path) -> None:
    guest, context = boot(tmp_path)
    zypper.install(context, Release("sles", "15.5", "", "SLES"), VERSION)
    assert guest.ran == []


def test_suse_replaces_an_old_driver_and_locks_the_new(tmp_path: Path) -> None:
    table = row("i", "1_140.0") + row("v", "2_142.0") + row("v", "3_142.0", "msft-rdma-kmp-default")
    commands: dict[Argv, Answers] = {("zypper",): ok(), ("modprobe",): ok()}
    guest, context = suse(tmp_path, table, commands)
    zypper.install(context, SLES, VERSION)
    package = "msft-rdma-kmp-azure"
    assert guest.ran[1:] == [
        ("zypper", "removelock", package),
        ("zypper", "-n", "rm", package),
        ("zypper", "-n", "in", f"{package}-2_142.0"),
        ("zypper", "addlock", package),
        ("modprobe", "--first-time", "hv_network_direct"),
    ]


def test_suse_takes_the_file_that_the_image_has_brought(tmp_path: Path) -> None:
    guest, context = suse(tmp_path, "", {("zypper",): ok(), ("modprobe",): ok()})
    rpm = "/opt/microsoft/rdma/msft-rdma-kmp-azure-142.0.x86_64.rpm"
    guest.write(rpm, "")
    guest.write("/opt/microsoft/rdma/msft-rdma-kmp-azure-141.0.x86_64.rpm", "")
    install: Argv = ("zypper", "-n", "--no-refresh", "in", str(guest.path(rpm)))
    guest.runner.answers = {**guest.runner.answers, install: fails(106)}
    zypper.install(context, SLES, VERSION)
    assert install in guest.ran
    assert not [argv for argv in guest.ran if "rm" in argv], "there was none to remove"


def test_suse_keeps_the_old_driver_when_there_is_no_new_one(tmp_path: Path) -> None:
    guest, context = suse(tmp_path, row("i", "1_140.0"), {})
    with pytest.raises(GuestError, match=r"version 142\.0"):
        zypper.install(context, SLES, VERSION)
    assert guest.ran == [SEARCH]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("step", [("zypper", "-n", "rm"), ("zypper", "-n", "in")])
def test_suse_names_the_step_that_does_not_work(tmp_path: Path, step: Argv, broken: Answer) -> None:
    table = row("i", "1_140.0") + row("v", "2_142.0")
    _, context = suse(tmp_path, table, {("zypper",): ok(), step: broken})
    with pytest.raises(AgentError, match="msft-rdma-kmp-azure"):
        zypper.install(context, SLES, VERSION)


def test_suse_restarts_where_the_old_driver_was_loaded_but_never_twice_for_it(
    tmp_path: Path,
) -> None:
    table = row("i", "1_140.0") + row("v", "2_142.0")
    guest, context = suse(tmp_path, table, {("zypper",): ok(), SHUTDOWN: ok()})
    guest.write("/sys/module/hv_network_direct/x", "")
    zypper.install(context, SLES, VERSION)
    assert guest.ran[-1] == SHUTDOWN
    assert "driver 142.0, kernel 4.4.131-azure" in guest.file(f"{LIB}/rdma_restart")
    with pytest.raises(GuestError, match="is not again"):
        zypper.install(context, SLES, VERSION)
    assert guest.ran.count(SHUTDOWN) == 1
    guest.write(KERNEL, "4.5.0-azure\n")
    zypper.install(context, SLES, VERSION)
    assert guest.ran.count(SHUTDOWN) == 2


@pytest.mark.parametrize("broken", BROKEN)
def test_suse_without_zypper_or_a_known_kernel_installs_nothing(
    tmp_path: Path, broken: Answer
) -> None:
    _, context = boot(tmp_path, files={KERNEL: "4.4.0-rt\n"})
    with pytest.raises(GuestError, match=r"4\.4\.0-rt"):
        zypper.install(context, SLES, VERSION)
    guest, context = boot(tmp_path, files={KERNEL: "4.4.0-azure\n"}, commands={SEARCH: broken})
    with pytest.raises(AgentError):
        zypper.install(context, SLES, VERSION)
    assert guest.ran == [SEARCH]


# the Red Hat family

QUERY: Argv = ("rpm", "-q", "microsoft-hyper-v-rdma")
RPMS = (
    "kmod-microsoft-hyper-v-rdma-4.1.0.142-20160323.x86_64.rpm",
    "microsoft-hyper-v-rdma-4.1.0.142-20160323.x86_64.rpm",
)
PLACE = "/opt/microsoft/rdma/rhel74"


def redhat(
    tmp_path: Path, commands: dict[Argv, Answers], *, daemon: str = "hypervkvpd"
) -> tuple[Guest, Context]:
    """A machine of the family whose key-value daemon runs."""
    files = process_files(7, daemon) if daemon else {}
    return boot(tmp_path, files={KERNEL: "3.10\n", **files}, commands=commands)


def test_redhat_with_the_right_firmware_is_left_alone(tmp_path: Path) -> None:
    installed = ok("microsoft-hyper-v-rdma-4.1.0.142-20160323.x86_64\n")
    guest, context = redhat(tmp_path, {QUERY: installed})
    yum.install(context, CENTOS, VERSION)
    assert guest.ran == [QUERY]


@pytest.mark.parametrize("daemon", yum.KVP_DAEMONS)
def test_redhat_installs_the_packages_for_its_firmware(tmp_path: Path, daemon: str) -> None:
    old = ok("microsoft-hyper-v-rdma-4.1.0.141-20160323.x86_64\n")
    commands: dict[Argv, Answers] = {QUERY: old, ("yum",): ok(), ("modprobe",): ok()}
    guest, context = redhat(tmp_path, commands, daemon=daemon)
    for name in RPMS:
        guest.write(f"{PLACE}/{name}", "")
        guest.write(f"{PLACE}/{name.replace('142', '141')}", "")
    guest.write("/sys/module/hv_network_direct/x", "")
    yum.install(context, CENTOS, VERSION)
    kmod, user = (str(guest.path(f"{PLACE}/{name}")) for name in RPMS)
    verbs = [argv[1:] for argv in guest.ran if argv[0] == "yum"]
    assert verbs == [
        ("clean", "all"),
        ("updateinfo",),
        ("erase", "-y", "-q", "msft-rdma-drivers"),
        ("install", "-y", "-q", "msft-rdma-drivers"),
        ("erase", "-y", "-q", "hypervkvpd"),
        ("erase", "-y", "-q", "microsoft-hyper-v"),
        ("erase", "-y", "-q", "kmod-microsoft-hyper-v-rdma"),
        ("install", "-y", "-q", kmod),
        ("erase", "-y", "-q", "microsoft-hyper-v-rdma"),
        ("install", "-y", "-q", user),
    ]
    assert guest.ran[-1] == ("modprobe", "hv_network_direct")


def test_redhat_restarts_when_the_new_driver_cannot_be_loaded(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {
        QUERY: fails(1),
        ("yum",): ok(),
        ("modprobe",): fails(1),
        SHUTDOWN: ok(),
    }
    guest, context = redhat(tmp_path, commands)
    for name in RPMS:
        guest.write(f"{PLACE}/{name}", "")
    yum.install(context, CENTOS, VERSION)
    assert guest.ran[-1] == SHUTDOWN


def test_redhat_keeps_what_it_has_when_no_package_fits(tmp_path: Path) -> None:
    guest, context = redhat(tmp_path, {QUERY: fails(1), ("yum",): ok()})
    with pytest.raises(GuestError, match="firmware 142"):
        yum.install(context, CENTOS, VERSION)
    assert ("yum", "erase", "-y", "-q", "hypervkvpd") not in guest.ran


def test_redhat_without_a_key_value_daemon_installs_it_and_restarts(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {("rpm", "-q"): fails(1), ("yum",): ok(), SHUTDOWN: ok()}
    guest, context = redhat(tmp_path, commands, daemon="")
    yum.install(context, CENTOS, VERSION)
    assert guest.ran[-2:] == [("yum", "install", "-y", "-q", "hypervkvpd"), SHUTDOWN]
    assert sum(guest.clock.waits) == 10


def test_redhat_whose_key_value_daemon_does_not_run_is_told_so(tmp_path: Path) -> None:
    _, context = redhat(tmp_path, {("rpm", "-q"): ok()}, daemon="")
    with pytest.raises(GuestError, match="hypervkvpd does not run"):
        yum.install(context, CENTOS, VERSION)


def test_redhat_finds_its_minor_version_where_os_release_has_none(tmp_path: Path) -> None:
    commands: dict[Argv, Answers] = {QUERY: fails(1), ("yum",): ok()}
    guest, context = redhat(tmp_path, commands)
    release = CENTOS._replace(version="7")
    with pytest.raises(GuestError, match="Unexpected centos version: 7"):
        yum.install(context, release, VERSION)
    guest.write("/etc/redhat-release", "CentOS Linux release 7.4.1708 (Core)\n")
    with pytest.raises(GuestError, match="rhel74"):
        yum.install(context, release, VERSION)


@pytest.mark.parametrize("broken", BROKEN)
def test_redhat_whose_packages_cannot_be_installed_is_an_error(
    tmp_path: Path, broken: Answer
) -> None:
    commands: dict[Argv, Answers] = {QUERY: fails(1), ("yum",): broken}
    _, context = redhat(tmp_path, commands)
    with pytest.raises(AgentError, match="yum"):
        yum.install(context, CENTOS, VERSION)


# Ubuntu

MODULE = "hv_network_direct_142_0"
RESOLVE: Argv = ("modprobe", "-R", "hv_network_direct")
INFO: Argv = ("modinfo", MODULE)
SHOW: Argv = ("apt-cache", "show", "--no-all-versions", "linux-azure")
UPDATES = ON + "OS.UpdateRdmaDriver=y\n"


def test_ubuntu_with_the_right_module_is_left_alone(tmp_path: Path) -> None:
    guest, context = boot(tmp_path, commands={RESOLVE: ok(f"{MODULE}\n")})
    apt.install(context, UBUNTU, VERSION)
    assert guest.ran == [RESOLVE]


@pytest.mark.parametrize("before", [None, "alias hv_network_direct hv_network_direct_141_0\n"])
def test_ubuntu_has_the_alias_stand_for_the_module_that_fits(tmp_path: Path, before: str) -> None:
    files = {apt.CONF: before} if before else {}
    commands: dict[Argv, Answers] = {RESOLVE: fails(1), INFO: ok()}
    guest, context = boot(tmp_path, files=files, commands=commands, folders=["/etc/modprobe.d"])
    apt.install(context, UBUNTU, VERSION)
    assert guest.file(apt.CONF) == f"alias hv_network_direct {MODULE}\n"


@pytest.mark.parametrize(
    ("kernel", "conf", "offered", "why"),
    [
        ("4.15.0-1009-azure", ON, "4.15.0.1013.13", "UpdateRdmaDriver=n"),
        ("4.15.0-23-generic", UPDATES, "4.15.0.1013.13", "none for Azure"),
        ("4.15.0-1013-azure", UPDATES, "4.15.0.1013.13", "no kernel is newer"),
        ("4.15.0-1013-azure", UPDATES, "", "unknown"),
    ],
)
def test_ubuntu_keeps_its_kernel_unless_a_newer_one_is_allowed_and_there(
    tmp_path: Path, kernel: str, conf: str, offered: str, why: str
) -> None:
    shown = f"Package: linux-azure\nVersion: {offered}\n" if offered else ""
    commands: dict[Argv, Answers] = {
        RESOLVE: fails(1),
        INFO: fails(1),
        ("apt-get", "update"): fails(100),
        SHOW: ok(shown),
    }
    _, context = boot(tmp_path, conf=conf, files={KERNEL: f"{kernel}\n"}, commands=commands)
    with pytest.raises(GuestError, match=why):
        apt.install(context, UBUNTU, VERSION)


def kernel_update(tmp_path: Path, install: Answer) -> tuple[Guest, Context]:
    """A machine to which a newer kernel is offered."""
    commands: dict[Argv, Answers] = {
        RESOLVE: missing(),
        INFO: missing(),
        ("apt-get", "update"): ok(),
        SHOW: ok("Version: 4.15.0.1013.13\n"),
        ("apt-get", "-y"): install,
        SHUTDOWN: ok(),
    }
    files = {KERNEL: "4.15.0-1009-azure\n"}
    return boot(tmp_path, conf=UPDATES, files=files, commands=commands)


def test_ubuntu_updates_its_kernel_without_a_question_and_restarts(tmp_path: Path) -> None:
    guest, context = kernel_update(tmp_path, ok())
    apt.install(context, UBUNTU, VERSION)
    options = ("-o", "Dpkg::Options::=--force-confold")
    assert guest.ran[-2:] == [("apt-get", "-y", *options, "install", "linux-azure"), SHUTDOWN]


@pytest.mark.parametrize("broken", BROKEN)
def test_ubuntu_does_not_restart_when_the_kernel_could_not_be_updated(
    tmp_path: Path, broken: Answer
) -> None:
    guest, context = kernel_update(tmp_path, broken)
    with pytest.raises(AgentError, match="apt-get"):
        apt.install(context, UBUNTU, VERSION)
    assert SHUTDOWN not in guest.ran
