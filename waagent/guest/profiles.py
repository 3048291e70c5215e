"""The table: which distribution has which profile. The first row that fits wins.

Rows differ from the generic profile only where the distribution does; differences of procedure
(who manages the network, which init runs) are found out at run time, not written here.
"""

from __future__ import annotations

import logging

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

log = logging.getLogger(__name__)

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
    "systemd-networkd",
)
WICKED = DhcpClient(
    "wickedd-dhcp4",
    (LeaseFiles(LeaseFormat.ASSIGNMENTS, ("/run/wicked/leaseinfo.*.dhcp.ipv4",)),),
    "wickedd-dhcp4",
)
NETWORK_MANAGER = DhcpClient(
    "NetworkManager",
    (LeaseFiles(LeaseFormat.ASSIGNMENTS, ("/var/lib/NetworkManager/internal-*.lease",)),),
    "NetworkManager",
)
DHCPCD = DhcpClient(
    "dhcpcd",
    (LeaseFiles(LeaseFormat.PACKET, ("/var/lib/dhcpcd/*.lease", "/var/lib/dhcpcd5/*.lease")),),
    "dhcpcd",
)

_HOSTNAMECTL = (HostnameWriter.HOSTNAMECTL, HostnameWriter.ETC_HOSTNAME)

GENERIC = Profile("generic", DHCLIENT_DEBIAN, unit_dir="/lib/systemd/system", jit_users=False)
DEBIAN = replace(
    GENERIC, family="debian", agent_service="walinuxagent", ssh_service="ssh", jit_users=True
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
        ("chainguard",),
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
            ordinary_system_users=("core",),
        ),
    ),
    Rule(("sles", "opensuse"), replace(SUSE, dhcp=NETWORK_MANAGER), since=(16,)),
    Rule(("suse", "sle-micro", "sle_hpc", "sles", "opensuse", "opensuse-tumbleweed"), SUSE),
    Rule(("kali",), replace(DEBIAN, agent_service="waagent")),
    Rule(("debian", "devuan"), DEBIAN),
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


def profile_of(release: Release) -> Profile:
    """The profile of a distribution; an unknown one has the generic profile, and a warning."""
    for rule in RULES:
        if release.name in rule.names and release.is_at_least(*rule.since):
            return rule.profile
    log.warning(
        'Cannot find "%s" among the known distributions, the generic profile is used', release.name
    )
    return GENERIC


def network_unit_dir(system: Rooted, profile: Profile) -> str:
    """Where units of ours may be written: not below /usr on an image-based system (10.3)."""
    if system.path("/run/ostree-booted").exists():
        return "/etc/systemd/system"
    return profile.unit_dir
