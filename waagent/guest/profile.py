"""What can differ between distributions, as data; which one has what is in ``profiles``."""

from __future__ import annotations

import enum

from waagent.core.records import dataclass


class HostnameWriter(enum.Enum):
    """A way to make a host name permanent; the kernel's name is set beside it."""

    HOSTNAMECTL = "hostnamectl"
    ETC_HOSTNAME = "/etc/hostname"


class LeaseFormat(enum.Enum):
    """How a DHCP client writes its leases down."""

    DHCLIENT = "dhclient"
    ASSIGNMENTS = "assignments"
    PACKET = "packet"


@dataclass(frozen=True)
class LeaseFiles:
    """Where leases of one format are: patterns of file names."""

    format: LeaseFormat
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class DhcpClient:
    """A DHCP client: its process and its leases.

    It is never restarted, and never stopped for a request of our own, as the existing agent does
    on some distributions (spec DAEMON 10.3): a stopped client may give the address back.
    """

    process: str
    leases: tuple[LeaseFiles, ...] = ()


@dataclass(frozen=True)
class Profile:
    """How a distribution does things (spec DAEMON 10.3, 10.4, 8.5; CLI 6.3).

    What a running machine can show of itself is an expectation here: which client leased the
    address is looked for among all (``dhcp``), which services there are in ``profiles``.
    """

    family: str
    dhcp: DhcpClient
    agent_service: str = "waagent"
    ssh_service: str = "sshd"
    bin_dir: str = "/usr/sbin"
    unit_dir: str = "/usr/lib/systemd/system"
    conf_path: str = "/etc/waagent.conf"
    hostname: tuple[HostnameWriter, ...] = (HostnameWriter.ETC_HOSTNAME,)
    edits_sshd_config: bool = True
    jit_users: bool = True
    keeps_resolv_conf: bool = False
    drops_machine_id: bool = False
    removes_net_rules: bool = True
    more_path: str = ""
    """Added to the PATH of the agent and of all that it starts."""
    ordinary_system_users: tuple[str, ...] = ()
    """System accounts that people log in to, and that are therefore treated like any other."""
