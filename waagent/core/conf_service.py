"""Options about what the agent does for Azure: extensions, updates, network, limits, debugging.

Keys, defaults and shipped values are the reference's (spec CLI 2.3 and 2.4, EXTENSIONS App. A);
the words are ours.
"""

from __future__ import annotations

from typing import Optional

from waagent.core.options import GENERIC_ONLY, Limits, number, path, seconds, switch, text
from waagent.core.records import dataclass


@dataclass(frozen=True)
class ExtensionsConf:
    """The goal state and the extensions in it."""

    enabled: bool = switch(
        "Extensions.Enabled",
        True,
        "Install, run and remove extensions as the goal state says. With n, password reset,"
        " backup, monitoring and everything else that is an extension stops working; the agent"
        " then reports its status every 300 s only.",
        shipped="y",
        distros={"arch": None, "chainguard": "n", "clearlinux": None, "photonos": None},
    )
    goal_state_period_s: int = seconds(
        "Extensions.GoalStatePeriod",
        6,
        "How often the goal state is asked for and status is reported.",
        shipped="6",
        distros=GENERIC_ONLY,
    )
    initial_goal_state_period_s: int = seconds(
        "Extensions.InitialGoalStatePeriod",
        6,
        "The same, until the first goal state after provisioning is done.",
        follows="Extensions.GoalStatePeriod",
    )
    wait_for_cloud_init: bool = switch(
        "Extensions.WaitForCloudInit",
        False,
        "Wait for cloud-init to finish before the first extension. It can only take effect at"
        " first boot when the image has it.",
    )
    wait_for_cloud_init_timeout_s: int = seconds(
        "Extensions.WaitForCloudInitTimeout",
        3600,
        "How long that wait may take.",
        least=0,
    )
    obeys_on_hold: bool = switch(
        "EnableOverProvisioning",
        True,
        "Leave extensions alone while the platform has the machine on hold, as it does with"
        " the surplus machines of an over-provisioned scale set.",
        shipped="#y",
    )
    policy_file_path: str = path(
        "Policy.PolicyFilePath",
        "/etc/waagent_policy.json",
        "The document that says which extensions may run; needs Debug.EnableExtensionPolicy.",
    )


@dataclass(frozen=True)
class AutoUpdateConf:
    """Which agent runs, and whether a newer one is downloaded (decision table in spec CLI 2.3)."""

    enabled: bool = switch(
        "AutoUpdate.Enabled",
        True,
        "n: run the installed agent and download no other. y: run the newest agent on this"
        " machine, and download newer ones that the platform offers. The platform offers"
        " its own agent, which would take over from this one.",
        shipped="n",
        distros={"chainguard": None},
    )
    update_to_latest_version: bool = switch(
        "AutoUpdate.UpdateToLatestVersion",
        True,
        "Whether newer agents are downloaded. Where this key is present, AutoUpdate.Enabled is"
        " ignored, and the newest agent on this machine runs even with n.",
        shipped="#y",
        distros={"chainguard": "n"},
        follows="AutoUpdate.Enabled",
    )
    ga_family: str = text(
        "AutoUpdate.GAFamily",
        "Prod",
        "The family of agents to choose from, as the goal state names them.",
        shipped="#Prod",
        distros={"clearlinux": "Prod", "mariner": "Prod", "photonos": "Prod"},
    )
    frequency_s: int = seconds(
        "Autoupdate.Frequency",
        3600,
        "Least time between two looks for a newer agent. The small u in the key is right.",
    )


@dataclass(frozen=True)
class ProtocolConf:
    """How the wire server is found."""

    endpoint_discovery: str = text(
        "Protocol.EndpointDiscovery",
        "dhcp",
        "dhcp: find the wire server by route, lease or DHCP option 245. static: use its"
        " well-known address, for machines without DHCP.",
        limits=Limits(("dhcp", "static"), otherwise="static"),
    )


@dataclass(frozen=True)
class HttpProxyConf:
    """The agent's own proxy. Requests to the wire server and HostPlugin never use one."""

    host: Optional[str] = text(
        "HttpProxy.Host",
        None,
        "Proxy for downloads. It beats the environment's proxy, and extensions do not get it.",
        shipped="#None",
    )
    port: Optional[int] = number(
        "HttpProxy.Port",
        None,
        "Port of the proxy; 80 when it is not given.",
        shipped="#None",
        least=1,
        most=65535,
    )

    @property
    def port_in_use(self) -> int:
        """The port to connect to: a host without one is not the same as no proxy (CLI 2.5)."""
        return self.port or 80


@dataclass(frozen=True)
class MonitorConf:
    """What is watched and only logged."""

    network_configuration_changes: bool = switch(
        "Monitor.NetworkConfigurationChanges",
        False,
        "Log changes of routes and network interfaces, looking every minute. With n they are"
        " logged once at start.",
        listed=False,
    )


@dataclass(frozen=True)
class CgroupsConf:
    """The agent's own limits and how they are watched."""

    check_period_s: int = seconds(
        "Debug.CgroupCheckPeriod", 300, "How often control groups are polled and checked."
    )
    log_metrics: bool = switch(
        "Debug.CgroupLogMetrics", False, "Write the measured figures to the log."
    )
    disable_on_process_check_failure: bool = switch(
        "Debug.CgroupDisableOnProcessCheckFailure",
        True,
        "Stop using control groups when a foreign process is found in the agent's.",
    )
    disable_on_quota_check_failure: bool = switch(
        "Debug.CgroupDisableOnQuotaCheckFailure",
        True,
        "Lift the agent's own CPU limit when it has been throttled for too long.",
    )
    agent_cpu_quota: int = number(
        "Debug.AgentCpuQuota", 50, "CPU limit of the agent, in per cent of one CPU.", least=1
    )
    agent_cpu_throttled_time_threshold_s: int = seconds(
        "Debug.AgentCpuThrottledTimeThreshold",
        120,
        "How long, in one period, the agent may be throttled before that counts as too long.",
    )
    agent_memory_quota_bytes: int = number(
        "Debug.AgentMemoryQuota",
        31457280,
        "Memory in bytes that the agent may use, where that is checked.",
        least=1,
        most=2**63 - 1,
    )
    enable_agent_memory_usage_check: bool = switch(
        "Debug.EnableAgentMemoryUsageCheck",
        False,
        "Leave and be started anew when the agent uses more memory than that.",
    )
    enable_v2_resource_limiting: bool = switch(
        "Debug.EnableCgroupV2ResourceLimiting",
        True,
        "Collect logs also where control groups are version 2.",
    )


@dataclass(frozen=True)
class DebugConf:
    """Experimental options, which may vanish; no shipped file has them."""

    enable_fast_track: bool = switch(
        "Debug.EnableFastTrack",
        True,
        "Take extensions from the HostPlugin's vmSettings where they are newer.",
    )
    enable_ga_versioning: bool = switch(
        "Debug.EnableGAVersioning",
        True,
        "Obey the agent version that the goal state asks for.",
    )
    etp_collection_period_s: int = seconds(
        "Debug.EtpCollectionPeriod", 300, "How often the extensions' telemetry is collected."
    )
    self_update_hotfix_frequency_s: int = seconds(
        "Debug.SelfUpdateHotfixFrequency",
        14400,
        "Window of the random delay before an update that differs in the fourth number only.",
        listed=False,
    )
    self_update_regular_frequency_s: int = seconds(
        "Debug.SelfUpdateRegularFrequency",
        86400,
        "Window of the random delay before any other update.",
        listed=False,
    )
    log_collector_initial_delay_s: int = seconds(
        "Debug.LogCollectorInitialDelay",
        300,
        "How long after the start logs are first collected.",
        least=0,
    )
    enable_extension_policy: bool = switch(
        "Debug.EnableExtensionPolicy",
        False,
        "Let the document of Policy.PolicyFilePath decide which extensions may run.",
    )
    enable_signature_validation: bool = switch(
        "Debug.EnableSignatureValidation",
        False,
        "Check the signatures of extension packages.",
    )
    firewall_rules_log_period_s: int = seconds(
        "Debug.FirewallRulesLogPeriod", 86400, "Accepted and shown; has no effect."
    )
    auto_update_hotfix_frequency_s: int = seconds(
        "Debug.AutoUpdateHotfixFrequency",
        14400,
        "Accepted and shown; has no effect. See Debug.SelfUpdateHotfixFrequency.",
    )
    auto_update_normal_frequency_s: int = seconds(
        "Debug.AutoUpdateNormalFrequency",
        86400,
        "Accepted and shown; has no effect. See Debug.SelfUpdateRegularFrequency.",
    )
