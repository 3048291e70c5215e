"""What deprovisioning would do to a machine, and why: pure, from what was seen of it.

Nothing is looked at here (``deprovision_look``) and nothing done (``deprovision_deeds``). Source:
spec DAEMON 8.2, 8.3, 8.5; the warnings are the existing agent's, word for word.
"""

from __future__ import annotations

import enum
from typing import Optional

from waagent.core.conf import Conf
from waagent.core.paths import LOG_FILE
from waagent.core.records import dataclass
from waagent.guest.profile import Profile

HOST_NAME = "localhost.localdomain"
LEASE_FOLDERS = (
    "/var/lib/dhclient",
    "/var/lib/dhcpcd",
    "/var/lib/dhcpcd5",
    "/var/lib/dhcp",
    "/var/lib/dhcp3",
    "/var/lib/udhcpc",
)
LEASE_FILES = (
    "/var/db/dhclient.leases.*",
    "/var/db/dhcpcd/*",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/wicked/*.xml",
    "/run/dhcpcd/*.lease",
    "/run/systemd/netif/leases/*",
    "/run/wicked/leaseinfo.*",
)
HYPERV_POOLS = "/var/lib/hyperv/.kvp_pool_*"
HOME_OF_ROOT = "/root"
HISTORY = f"{HOME_OF_ROOT}/.bash_history"
RESOLV_CONF = "/etc/resolv.conf"
RESOLVCONF_TARGET = "/run/resolvconf/resolv.conf"
RESOLVCONF_FILES = ("/etc/resolvconf/resolv.conf.d/tail", "/etc/resolvconf/resolv.conf.d/original")
MACHINE_ID = "/etc/machine-id"
ACCOUNT_BACKUPS = ("/etc/passwd-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-")
DROP_INS = ("10-Slice", "11-CPUAccounting", "12-CPUQuota", "13-MemoryAccounting")
LOG_COLLECTOR_SLICE = "azure-walinuxagent-logcollector.slice"
NETWORK_HELPER = "waagent-network-setup.py"


class Deed(enum.Enum):
    """What a step does to its targets."""

    STOP_SERVICE = enum.auto()
    DELETE_HOST_KEYS = enum.auto()
    DELETE_LEASES = enum.auto()
    SET_HOST_NAME = enum.auto()
    SET_DHCP_NAME = enum.auto()
    LOCK_ROOT = enum.auto()
    DELETE_FILES = enum.auto()
    DELETE_USER = enum.auto()
    EMPTY_POOLS = enum.auto()
    DELETE_UNITS = enum.auto()
    EMPTY_FOLDER = enum.auto()
    EMPTY_STATE = enum.auto()


@dataclass(frozen=True)
class Step:
    """One thing to do. ``targets`` are paths of the guest, patterns among them."""

    deed: Deed
    what: str
    why: str
    warning: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All steps in their order, the warnings in the existing agent's, and what is left alone."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What has to be known of the machine. ``user`` is the provisioned one, if it can be told."""

    service: str
    unit_dir: str
    network_unit_dir: str
    resolv_conf: str = RESOLV_CONF
    user: Optional[str] = None
    is_system_user: bool = False
    cloud_init: bool = False


def plan_deprovision(conf: Conf, profile: Profile, seen: Seen, *, with_user: bool) -> Plan:
    """The whole clean-up. The state goes late, and in it the user's name last (``EMPTY_STATE``):
    what is needed to begin again is there until all else is done.
    """
    resolver, resolver_warning = _plan_resolver(profile, seen)
    user, user_warnings, notes = _plan_user(seen, with_user=with_user)
    before = [
        Step(
            Deed.STOP_SERVICE,
            f"stop the service {seen.service}",
            "it would write its state anew",
            "WARNING! The waagent service will be stopped.",
        ),
        *_plan_host_keys(conf),
        plan_leases(),
        *_plan_names(),
        *_plan_root(conf),
        Step(
            Deed.DELETE_FILES,
            "delete root's shell history",
            "it tells what was done on this machine",
            targets=(HISTORY,),
        ),
        *resolver,
    ]
    after = [
        *user,
        *_plan_backups(conf, has_user=bool(user)),
        Step(
            Deed.EMPTY_POOLS,
            "empty the pools of Hyper-V",
            "they hold what the host said to this machine",
            targets=(HYPERV_POOLS,),
        ),
        *plan_generated(conf, seen),
        *_plan_state(conf),
        *_plan_machine_id(profile),
    ]
    warnings = [step.warning for step in before if step.warning]
    warnings += [resolver_warning] if resolver_warning else []
    warnings += user_warnings
    warnings += [step.warning for step in after if step.warning and step not in user]
    return Plan((*before, *after), tuple(warnings), (*notes, *_notes(seen, with_user=with_user)))


def plan_leases() -> Step:
    """The leases of all clients, whichever is used here."""
    return Step(
        Deed.DELETE_LEASES,
        "delete cached DHCP leases",
        "a machine that begins with them asks for this one's address",
        "WARNING! Cached DHCP leases will be deleted.",
        (*LEASE_FOLDERS, *LEASE_FILES),
    )


def plan_generated(conf: Conf, seen: Seen) -> tuple[Step, ...]:
    """Units and settings of units that an agent wrote; what a package owns stays (decision 11)."""
    unit, drop_ins = seen.unit_dir, f"{seen.unit_dir}/{seen.service}.service.d"
    return (
        Step(
            Deed.DELETE_UNITS,
            "delete generated units: the firewall's at boot, limits of the agent",
            "the agent writes them where they are needed",
            targets=(
                f"{seen.network_unit_dir}/{seen.service}-network-setup.service",
                f"{conf.paths.lib_dir}/{NETWORK_HELPER}",
                *(f"{drop_ins}/{name}.conf" for name in DROP_INS),
                f"{unit}/{LOG_COLLECTOR_SLICE}",
            ),
        ),
    )


def _plan_host_keys(conf: Conf) -> tuple[Step, ...]:
    if not conf.provisioning.regenerate_ssh_host_key_pair:
        return ()
    return (
        Step(
            Deed.DELETE_HOST_KEYS,
            "delete the SSH host keys",
            "whoever has them can pose as this machine; each needs its own",
            "WARNING! All SSH host key pairs will be deleted.",
        ),
    )


def _plan_names() -> tuple[Step, ...]:
    why = "the name is this machine's"
    return (
        Step(Deed.SET_HOST_NAME, f"name the machine {HOST_NAME}", why),
        Step(Deed.SET_DHCP_NAME, f"have the DHCP client send {HOST_NAME}", why),
    )


def _plan_root(conf: Conf) -> tuple[Step, ...]:
    if not conf.provisioning.delete_root_password:
        return ()
    return (
        Step(
            Deed.LOCK_ROOT,
            f"lock root's password in {conf.os.password_path}",
            "Provisioning.DeleteRootPassword asks for it",
            "WARNING! root password will be disabled. You will not be able to login as root.",
        ),
    )


def _plan_resolver(profile: Profile, seen: Seen) -> tuple[tuple[Step, ...], str]:
    """The name servers (spec DAEMON 8.5); the warning may be that nothing is done."""
    if profile.keeps_resolv_conf:
        return (), (
            "WARNING! /etc/resolv.conf will NOT be removed, this is a behavior change to earlier"
            " versions of Ubuntu."
        )
    why = "the name servers are those of this machine's network"
    if seen.resolv_conf == RESOLVCONF_TARGET:
        warning = f"WARNING! {' and '.join(RESOLVCONF_FILES)} will be deleted."
        what = "delete what resolvconf keeps"
        return (Step(Deed.DELETE_FILES, what, why, warning, RESOLVCONF_FILES),), ""
    warning = f"WARNING! {RESOLV_CONF} will be deleted."
    return (Step(Deed.DELETE_FILES, f"delete {RESOLV_CONF}", why, warning, (RESOLV_CONF,)),), ""


def _plan_user(
    seen: Seen, *, with_user: bool
) -> tuple[tuple[Step, ...], list[str], tuple[str, ...]]:
    if not with_user:
        return (), [], ()
    name = seen.user
    if name is None:
        return (), ["WARNING! ovf-env.xml is not found.", "WARNING! Skip delete user."], ()
    if seen.is_system_user:
        return (), [], (f"{name} is a system user. Will not delete it.",)
    warning = f"WARNING! {name} account and entire home directory will be deleted."
    step = Step(
        Deed.DELETE_USER,
        f"delete the account {name}, its home and its right to use sudo",
        "-deprovision+user asks for it",
        warning,
        (name,),
    )
    return (step,), [warning], ()


def _plan_backups(conf: Conf, *, has_user: bool) -> tuple[Step, ...]:
    """Programs that change accounts leave the files of before beside them, hashes and all."""
    if not has_user and not conf.provisioning.delete_root_password:
        return ()
    return (
        Step(
            Deed.DELETE_FILES,
            "delete the copies that were made when accounts changed",
            "they have the password hashes and the accounts of before",
            targets=(*ACCOUNT_BACKUPS, f"{conf.os.password_path}-"),
        ),
    )


def _plan_state(conf: Conf) -> tuple[Step, ...]:
    return (
        Step(
            Deed.EMPTY_FOLDER,
            "empty the folder of the extensions' logs",
            "they tell of this machine",
            targets=(conf.paths.extension_log_dir,),
        ),
        Step(
            Deed.DELETE_FILES,
            "delete the agent's log",
            "it tells of this machine",
            targets=(LOG_FILE, f"{LOG_FILE}.*", f"{LOG_FILE}-*"),
        ),
        Step(
            Deed.EMPTY_STATE,
            "empty the folder of the agent's state",
            "a machine that begins with it counts as set up, with this one's certificates,"
            " extensions and names",
            targets=(conf.paths.lib_dir,),
        ),
    )


def _plan_machine_id(profile: Profile) -> tuple[Step, ...]:
    if not profile.drops_machine_id:
        return ()
    warning = f"WARNING! {MACHINE_ID} will be removed."
    why = "systemd takes a machine without it for a new one"
    return (Step(Deed.DELETE_FILES, f"delete {MACHINE_ID}", why, warning, (MACHINE_ID,)),)


def _notes(seen: Seen, *, with_user: bool) -> tuple[str, ...]:
    notes = []
    if seen.cloud_init:
        again = f", and make the account {seen.user} again" if with_user and seen.user else ""
        notes.append(
            "cloud-init keeps what it knows of this machine: run `cloud-init clean` too, or it may"
            f" take the next one for this one{again}"
        )
    return tuple(notes)
