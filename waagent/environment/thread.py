"""The thread ``EnvHandler`` with its work, for the child's main to start and stop.

Names and texts are those of the reference (spec DAEMON 3, EXT 10.1).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from waagent.core.context import Context
from waagent.core.workers import Periodic, Worker
from waagent.environment import hostname_watch
from waagent.environment.dhcp_watch import DhcpWatch
from waagent.environment.disks import set_disk_timeouts
from waagent.environment.hostname_watch import HostnameWatch
from waagent.environment.net_rules import remove_net_rules
from waagent.guest.profile import Profile

THREAD = "EnvHandler"
GREETING = "Starting env monitor service."


def make_environment(context: Context, profile: Profile, also: Sequence[Periodic] = ()) -> Worker:
    """The thread; nothing is started. ``also`` is the process's own work for it."""
    work = [
        *_net_rules(context, profile),
        *_dhcp(context, profile),
        *_disks(context),
        *_hostname(context, profile),
        *also,
    ]
    return Worker(THREAD, work, context.system.clock, greeting=GREETING)


def _net_rules(context: Context, profile: Profile) -> list[Periodic]:
    if not profile.removes_net_rules:
        return []
    return [
        Periodic(
            "remove rules that pin network names",
            context.conf.os.remove_persistent_net_rules_period_s,
            functools.partial(remove_net_rules, context),
            known_as="RemovePersistentNetworkRules",
        )
    ]


def _dhcp(context: Context, profile: Profile) -> list[Periodic]:
    return [
        Periodic(
            "watch the DHCP client",
            context.conf.os.monitor_dhcp_client_restart_period_s,
            DhcpWatch(context.system, profile.dhcp).look,
            known_as="MonitorDhcpClientRestart",
        )
    ]


def _disks(context: Context) -> list[Periodic]:
    timeout = context.conf.os.root_device_scsi_timeout
    if timeout is None:
        return []
    return [
        Periodic(
            "set the time-out of disks",
            context.conf.os.root_device_scsi_timeout_period_s,
            functools.partial(set_disk_timeouts, context.system, timeout),
            known_as="SetRootDeviceScsiTimeout",
        )
    ]


def _hostname(context: Context, profile: Profile) -> list[Periodic]:
    """At once where the kernel tells of a change, and in each period whether it does or not."""
    if not context.conf.provisioning.monitor_host_name:
        return []
    period_s = context.conf.provisioning.monitor_host_name_period_s
    watch = HostnameWatch(context, profile, period_s=period_s)
    name, known_as = "watch the host name", "MonitorHostNameChanges"
    found = [Periodic(name, period_s, watch.look, known_as=known_as)]
    bell = hostname_watch.find_bell(context)
    if bell is not None:
        settle_s = hostname_watch.SETTLE_S
        found.append(Periodic(name, settle_s, watch.look, bell=bell, known_as=known_as))
    return found
