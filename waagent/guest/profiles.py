"""The table: which distribution has which profile. The first row that fits wins.

Rows differ from the generic profile only where the distribution does. Differences of procedure
(who manages the network, which init runs) are found out at run time, and what a machine shows of
itself wins over its row (``read_profile``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Optional

from waagent.core.records import dataclass, replace
from waagent.core.rooted import Rooted
from waagent.guest.profile import (
    DhcpClient,
    HostnameWriter,
    LeaseFiles,
    LeaseFormat,
    Profile,
)
from waagent.guest.release import Release
from waagent.guest.units import find_installed

log = logging.getLogger(__name__)

CONF_PATH = "/etc/waagent.conf"
AGENT_SERVICES = ("waagent", "walinuxagent")
SSH_SERVICES = ("sshd", "ssh")

DHCLIENT_DEBIAN = DhcpClient(
    "dhclient", (LeaseFiles(LeaseFormat.DHCLIENT, ("/var/lib/dhcp/dhclient*.leases",)),)
)
DHCLIENT_REDHAT = DhcpClient(
    "dhclient",
    (
        LeaseFiles(
            LeaseFormat.DHCLIENT,
            ("/var/lib/dhclient/dhclient-*.lease", "/var/lib/NetworkManager/dhclient-*.lease"),
        ),
        LeaseFiles(LeaseFormat.ASSIGNMENTS, ("/var/lib/NetworkManager/internal-*.lease",)),
    ),
)
NETWORKD = DhcpClient(
    "systemd-networkd",
    (LeaseFiles(LeaseFormat.ASSIGNMENTS, ("/run/systemd/netif/leases/*",)),),
)
WICKED = DhcpClient(
    "wickedd-dhcp4",
    (
        LeaseFiles(
            LeaseFormat.ASSIGNMENTS,
            ("/run/wicked/leaseinfo.*.dhcp.ipv4", "/var/lib/wicked/lease-*-dhcp-ipv4.xml"),
        ),
    ),
)
NETWORK_MANAGER = DhcpClient(
    "NetworkManager",
    (
        LeaseFiles(
            LeaseFormat.ASSIGNMENTS,
            ("/var/lib/NetworkManager/internal-*.lease", "/run/NetworkManager/devices/*"),
        ),
    ),
)
DHCPCD = DhcpClient(
    "dhcpcd",
    (LeaseFiles(LeaseFormat.PACKET, ("/var/lib/dhcpcd/*.lease", "/var/lib/dhcpcd5/*.lease")),),
)

UDHCPC = DhcpClient("udhcpc")  # keeps no leases
DHCP_CLIENTS = (
    *(DHCLIENT_DEBIAN, DHCLIENT_REDHAT, DHCPCD, UDHCPC),
    *(WICKED, NETWORKD, NETWORK_MANAGER),  # they may run one of the others
)

_HOSTNAMECTL = (HostnameWriter.HOSTNAMECTL, HostnameWriter.ETC_HOSTNAME)

GENERIC = Profile("generic", DHCLIENT_DEBIAN, unit_dir="/lib/systemd/system", jit_users=False)
DEBIAN = replace(
    GENERIC,
    family="debian",
    agent_service="walinuxagent",
    ssh_service="ssh",
    jit_users=True,
    removes_net_rules=False,
)
REDHAT = Profile("redhat", DHCLIENT_REDHAT, hostname=_HOSTNAMECTL)
SUSE = Profile("suse", WICKED, hostname=_HOSTNAMECTL)
ON_NETWORKD = Profile("networkd", NETWORKD, bin_dir="/usr/bin", edits_sshd_config=False)


@dataclass(frozen=True)
class Rule:
    """A row: the names it is for, from which version on, and the profile."""

    names: tuple[str, ...]
    profile: Profile
    since: tuple[int, ...] = ()


RULES = (
    Rule(("photonos", "photon"), replace(ON_NETWORKD, family="photon", jit_users=False)),
    Rule(("arch",), replace(ON_NETWORKD, family="arch", drops_machine_id=True)),
    Rule(
        ("clear-linux-os",),
        replace(
            ON_NETWORKD,
            family="clear",
            conf_path="/usr/share/defaults/waagent/waagent.conf",
        ),
    ),
    Rule(
        ("ubuntu",),
        replace(DEBIAN, family="ubuntu", dhcp=NETWORKD, keeps_resolv_conf=True),
        since=(18, 4),
    ),
    Rule(("ubuntu",), replace(DEBIAN, family="ubuntu")),
    Rule(
        ("alpine", "alpaquita"),
        replace(GENERIC, family="alpine", dhcp=DHCPCD, edits_sshd_config=False, jit_users=True),
    ),
    Rule(
        ("chainguard", "wolfi"),
        replace(ON_NETWORKD, family="chainguard", edits_sshd_config=True),
    ),
    Rule(
        ("flatcar", "coreos"),
        replace(
            ON_NETWORKD,
            family="flatcar",
            bin_dir="/usr/share/oem/bin",
            unit_dir="/lib/systemd/system",
            conf_path="/usr/share/oem/waagent.conf",
            drops_machine_id=True,
            more_path="/usr/share/oem/python/bin",
            ordinary_system_users=("core",),
        ),
    ),
    Rule(("sles", "opensuse"), replace(SUSE, dhcp=NETWORK_MANAGER), since=(16,)),
    Rule(
        (
            *("suse", "sle-micro", "sl-micro", "sle_hpc", "sles"),
            *("opensuse", "opensuse-tumbleweed", "opensuse-microos"),
        ),
        SUSE,
    ),
    Rule(("debian", "devuan", "kali"), DEBIAN),
    Rule(
        (
            "redhat",
            "rhel",
            "centos",
            "oracle",
            "almalinux",
            "cloudlinux",
            "rocky",
            "euleros",
            "uos",
        ),
        REDHAT,
    ),
    Rule(("mariner", "azurelinux"), replace(ON_NETWORKD, family="azurelinux")),
    Rule(
        ("fedora",),
        replace(
            REDHAT,
            family="fedora",
            dhcp=NETWORK_MANAGER,
            hostname=(HostnameWriter.ETC_HOSTNAME,),
            edits_sshd_config=False,
            jit_users=False,
        ),
    ),
)


def read_profile(system: Rooted, release: Release) -> Profile:
    """The profile of this machine: its row of the table, but what is seen here wins."""
    profile = profile_of(release)
    return replace(
        profile,
        agent_service=_installed(system, profile.agent_service, AGENT_SERVICES),
        ssh_service=_installed(system, profile.ssh_service, SSH_SERVICES),
        conf_path=_existing(system, profile.conf_path, CONF_PATH),
    )


def profile_of(release: Release) -> Profile:
    """The row for a distribution, or for one that it says it is like; else the generic one.

    A relative has numbers of its own, so it is taken for the newest of those that it is like.
    """
    profile = _find_row(release)
    if profile is not None:
        return profile
    for name in release.like:
        profile = _find_row(Release(name))
        if profile is not None:
            log.info('Distribution "%s" is treated as "%s", which it is like', release.name, name)
            return profile
    log.warning(
        'Cannot find "%s" among the known distributions, the generic profile is used', release.name
    )
    return GENERIC


def environment_changes(profile: Profile, environment: Mapping[str, str]) -> dict[str, str]:
    """What the distribution wants to have in the environment and is not there yet (10.3)."""
    path = environment.get("PATH", "")
    if not path or not profile.more_path or profile.more_path in path.split(":"):
        return {}
    return {"PATH": f"{path}:{profile.more_path}"}


def network_unit_dir(system: Rooted, profile: Profile) -> str:
    """Where units of ours may be written: not below /usr on an image-based system (10.3)."""
    if system.path("/run/ostree-booted").exists():
        return "/etc/systemd/system"
    return profile.unit_dir


def _find_row(release: Release) -> Optional[Profile]:
    for rule in RULES:
        if release.name in rule.names and release.is_at_least(*rule.since):
            return rule.profile
    return None


def _installed(system: Rooted, expected: str, others: tuple[str, ...]) -> str:
    return find_installed(system, (expected, *others)) or expected


def _existing(system: Rooted, expected: str, other: str) -> str:
    if not system.path(expected).exists() and system.path(other).exists():
        return other
    return expected
