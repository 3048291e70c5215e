"""What deprovisioning plans for each kind of machine: the warnings, the order, what is spared."""

from __future__ import annotations

from typing import Optional

import pytest

from waagent.core.conf import load
from waagent.guest.profile import Profile
from waagent.guest.profiles import profile_of
from waagent.guest.release import Release
from waagent.provisioning.deprovision_guard import refusal, refusal_of_home
from waagent.provisioning.deprovision_plan import (
    MACHINE_ID,
    Deed,
    Plan,
    Seen,
    plan_deprovision,
    plan_generated,
)

SERVICE = "WARNING! The waagent service will be stopped."
HOST_KEYS = "WARNING! All SSH host key pairs will be deleted."
LEASES = "WARNING! Cached DHCP leases will be deleted."
ROOT = "WARNING! root password will be disabled. You will not be able to login as root."
RESOLV = "WARNING! /etc/resolv.conf will be deleted."
RESOLVCONF = (
    "WARNING! /etc/resolvconf/resolv.conf.d/tail and /etc/resolvconf/resolv.conf.d/original will"
    " be deleted."
)
KEPT = (
    "WARNING! /etc/resolv.conf will NOT be removed, this is a behavior change to earlier versions"
    " of Ubuntu."
)
USER = "WARNING! azureuser account and entire home directory will be deleted."
NO_OVF = ("WARNING! ovf-env.xml is not found.", "WARNING! Skip delete user.")
ID = "WARNING! /etc/machine-id will be removed."
BOTH = "Provisioning.RegenerateSshHostKeyPair=y\nProvisioning.DeleteRootPassword=y\n"


def plan(
    profile: Profile,
    *,
    conf: str = BOTH,
    with_user: bool = True,
    user: Optional[str] = "azureuser",
    resolv_conf: str = "/etc/resolv.conf",
    is_system_user: bool = False,
    cloud_init: bool = False,
) -> Plan:
    seen = Seen(
        profile.agent_service,
        profile.unit_dir,
        profile.unit_dir,
        resolv_conf=resolv_conf,
        user=user,
        is_system_user=is_system_user,
        cloud_init=cloud_init,
    )
    return plan_deprovision(load(conf.encode(), "conf").conf, profile, seen, with_user=with_user)


def profile(name: str, *version: int) -> Profile:
    return profile_of(Release(name, ".".join(str(part) for part in version)))


@pytest.mark.parametrize(
    ("name", "version", "resolv_conf", "warning"),
    [
        ("debian", (12,), "/etc/resolv.conf", RESOLV),
        ("debian", (12,), "/run/systemd/resolve/stub-resolv.conf", RESOLV),
        ("debian", (12,), "/run/resolvconf/resolv.conf", RESOLVCONF),
        ("ubuntu", (16, 4), "/run/resolvconf/resolv.conf", RESOLVCONF),
        ("ubuntu", (16, 4), "/etc/resolv.conf", RESOLV),
        ("ubuntu", (18, 4), "/run/systemd/resolve/stub-resolv.conf", KEPT),
        ("ubuntu", (24, 4), "/etc/resolv.conf", KEPT),
        ("rhel", (9, 4), "/etc/resolv.conf", RESOLV),
        ("sles", (15, 5), "/run/netconfig/resolv.conf", RESOLV),
        ("azurelinux", (3, 0), "/etc/resolv.conf", RESOLV),
    ],
)
def test_name_servers_are_cleaned_as_the_machine_keeps_them(
    name: str, version: tuple[int, ...], resolv_conf: str, warning: str
) -> None:
    made = plan(profile(name, *version), resolv_conf=resolv_conf)
    assert made.warnings == (SERVICE, HOST_KEYS, LEASES, ROOT, warning, USER)
    touched = {target for step in made.steps for target in step.targets}
    assert ("/etc/resolv.conf" in touched) is (warning == RESOLV)
    assert ("/etc/resolvconf/resolv.conf.d/tail" in touched) is (warning == RESOLVCONF)


@pytest.mark.parametrize("name", ["arch", "flatcar", "coreos"])
def test_machine_id_goes_last_where_it_goes_at_all(name: str) -> None:
    made = plan(profile(name))
    assert made.warnings[-1] == ID
    assert made.steps[-1].targets == (MACHINE_ID,)


@pytest.mark.parametrize("name", ["debian", "ubuntu", "rhel", "sles", "clear-linux-os", "nothing"])
def test_machine_id_stays_elsewhere(name: str) -> None:
    made = plan(profile(name))
    assert ID not in made.warnings
    assert not [step for step in made.steps if MACHINE_ID in step.targets]


@pytest.mark.parametrize(
    ("conf", "warnings"),
    [
        ("", (SERVICE, LEASES, RESOLV)),
        ("Provisioning.RegenerateSshHostKeyPair=y\n", (SERVICE, HOST_KEYS, LEASES, RESOLV)),
        ("Provisioning.DeleteRootPassword=y\n", (SERVICE, LEASES, ROOT, RESOLV)),
    ],
)
def test_host_keys_and_root_password_go_only_when_the_configuration_says_so(
    conf: str, warnings: tuple[str, ...]
) -> None:
    made = plan(profile("debian", 12), conf=conf, with_user=False)
    assert made.warnings == warnings
    deeds = [step.deed for step in made.steps]
    assert (Deed.DELETE_HOST_KEYS in deeds) is (HOST_KEYS in warnings)
    assert (Deed.LOCK_ROOT in deeds) is (ROOT in warnings)


def test_user_who_cannot_be_told_is_skipped_with_the_known_words() -> None:
    made = plan(profile("debian", 12), user=None)
    assert made.warnings[-2:] == NO_OVF
    assert Deed.DELETE_USER not in [step.deed for step in made.steps]


def test_system_user_is_never_in_the_plan() -> None:
    made = plan(profile("debian", 12), user="daemon", is_system_user=True)
    assert made.notes == ("daemon is a system user. Will not delete it.",)
    assert Deed.DELETE_USER not in [step.deed for step in made.steps]


def test_user_is_kept_unless_asked_for() -> None:
    made = plan(profile("debian", 12), with_user=False)
    assert USER not in made.warnings
    assert Deed.DELETE_USER not in [step.deed for step in made.steps]


@pytest.mark.parametrize("with_user", [True, False])
def test_state_goes_when_all_that_needs_it_is_done(with_user: bool) -> None:
    deeds = [step.deed for step in plan(profile("debian", 12), with_user=with_user).steps]
    assert deeds[0] is Deed.STOP_SERVICE
    assert deeds[-1] is Deed.EMPTY_STATE


def test_every_step_has_a_reason() -> None:
    for name in ("debian", "ubuntu", "flatcar"):
        assert all(len(step.why) > 15 for step in plan(profile(name)).steps)


def test_cloud_init_is_named_as_the_one_who_would_make_the_user_again() -> None:
    made = plan(profile("debian", 12), cloud_init=True)
    assert "cloud-init clean" in made.notes[0]
    assert "make the account azureuser again" in made.notes[0]
    touched = [target for step in made.steps for target in step.targets]
    assert not [target for target in touched if "cloud" in target]


def test_generated_units_are_named_exactly() -> None:
    conf = load(b"", "conf").conf
    steps = plan_generated(conf, Seen("walinuxagent", "/lib/systemd/system", "/etc/systemd/system"))
    assert [target for step in steps for target in step.targets] == [
        "/etc/systemd/system/walinuxagent-network-setup.service",
        "/var/lib/waagent/waagent-network-setup.py",
        "/lib/systemd/system/walinuxagent.service.d/10-Slice.conf",
        "/lib/systemd/system/walinuxagent.service.d/11-CPUAccounting.conf",
        "/lib/systemd/system/walinuxagent.service.d/12-CPUQuota.conf",
        "/lib/systemd/system/walinuxagent.service.d/13-MemoryAccounting.conf",
        "/lib/systemd/system/azure-walinuxagent-logcollector.slice",
    ]


@pytest.mark.parametrize(
    "folder",
    [
        *("/", "/..", "//", "/var", "/var/lib", "/var/log", "/var/spool", "/home", "/home/me"),
        *("/etc", "/etc/ssh", "/usr", "/usr/share/oem", "/bin", "/lib", "/lib64/x", "/boot/efi"),
        *("/root", "/dev/shm", "/proc/1", "/sys/fs", "/run", "/tmp", "/mnt", "/opt"),
        *("/var/lib/dpkg", "/var/lib/systemd", "/var/lib/waagent/../../../etc"),
    ],
)
def test_folder_of_the_system_is_never_emptied(folder: str) -> None:
    assert refusal(folder)


@pytest.mark.parametrize(
    "folder",
    [
        *("/var/lib/waagent", "/var/log/azure", "/opt/waagent", "/data/waagent", "/run/netif/x"),
        *("/var/lib/dhcp", "/var/lib/NetworkManager", "/mnt/resource/waagent", "/homes"),
    ],
)
def test_folder_of_the_agent_may_be_emptied(folder: str) -> None:
    assert refusal(folder) is None


@pytest.mark.parametrize(
    ("home", "may_go"),
    [
        ("/home/me", True),
        ("/home/team/me", True),
        ("/data/homes/me", True),
        ("/home", False),
        ("/", False),
        ("/home/you", False),
        ("/var/www", False),
        ("/root", False),
        ("/etc/me", False),
        ("/home/me/..", False),
    ],
)
def test_home_goes_only_if_it_was_made_for_the_user(home: str, may_go: bool) -> None:
    assert (refusal_of_home(home, "me") is None) is may_go
