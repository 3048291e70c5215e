"""Every option against a transcript of the spec (CLI 2.3), made independently of the code."""

from __future__ import annotations

import pytest

from waagent.cli.configuration import show_configuration
from waagent.core.conf import BY_KEY, Conf
from waagent.core.options import Kind, show_value

# Listed by -show-configuration or not, type, key, code default, value in the generic file (a dash:
# absent). One value is ours and not the reference's: AutoUpdate.Enabled=n is shipped.
FACTS = """
S bool Extensions.Enabled y y
S int  Extensions.GoalStatePeriod 6 6
S int  Extensions.InitialGoalStatePeriod 6 -
S bool Extensions.WaitForCloudInit n -
S int  Extensions.WaitForCloudInitTimeout 3600 -
S bool EnableOverProvisioning y #y
S str  Policy.PolicyFilePath /etc/waagent_policy.json -
S str  Protocol.EndpointDiscovery dhcp -
S bool AutoUpdate.UpdateToLatestVersion y #y
S bool AutoUpdate.Enabled y n
S str  AutoUpdate.GAFamily Prod #Prod
S int  Autoupdate.Frequency 3600 -
S str  Provisioning.Agent auto auto
S bool Provisioning.DeleteRootPassword n y
S bool Provisioning.RegenerateSshHostKeyPair n y
S str  Provisioning.SshHostKeyPairType rsa rsa
S bool Provisioning.MonitorHostName n y
S int  Provisioning.MonitorHostNamePeriod 30 30
S bool Provisioning.DecodeCustomData n n
S bool Provisioning.ExecuteCustomData n n
S bool Provisioning.AllowResetSysUser n n
S str  Provisioning.PasswordCryptId 6 #6
S int  Provisioning.PasswordCryptSaltLength 10 #10
S bool ResourceDisk.Format n y
S str  ResourceDisk.Filesystem ext3 ext4
S str  ResourceDisk.MountPoint /mnt/resource /mnt/resource
S str  ResourceDisk.MountOptions None None
S bool ResourceDisk.EnableSwap n n
S bool ResourceDisk.EnableSwapEncryption n -
S int  ResourceDisk.SwapSizeMB 0 0
S bool Logs.Verbose n n
S bool Logs.Console y #y
S bool Logs.Collect y y
S int  Logs.CollectPeriod 3600 3600
S str  Extension.LogDir /var/log/azure #/var/log/azure
S bool OS.EnableFirewall n y
S int  OS.EnableFirewallPeriod 300 30
S int  OS.RemovePersistentNetRulesPeriod 30 30
S int  OS.MonitorDhcpClientRestartPeriod 30 30
S str  OS.RootDeviceScsiTimeout None 300
S int  OS.RootDeviceScsiTimeoutPeriod 30 30
S str  OS.OpensslPath /usr/bin/openssl None
S bool OS.EnableFIPS n n
S bool OS.AllowHTTP n #n
S str  OS.SshDir /etc/ssh /etc/ssh
S int  OS.SshClientAliveInterval 180 #180
S str  OS.HomeDir /home -
S str  OS.PasswordPath /etc/shadow -
S str  OS.SudoersDir /etc/sudoers.d -
S bool OS.EnableRDMA n #y
S bool OS.UpdateRdmaDriver n -
S bool OS.CheckRdmaDriver None #y
S bool DetectScvmmEnv n #n
S str  HttpProxy.Host None #None
S int  HttpProxy.Port None #None
- bool Monitor.NetworkConfigurationChanges n -
S str  Lib.Dir /var/lib/waagent #/var/lib/waagent
S str  DVD.MountPoint /mnt/cdrom/secure #/mnt/cdrom/secure
S str  Pid.File /var/run/waagent.pid #/var/run/waagent.pid
S int  Debug.CgroupCheckPeriod 300 -
S bool Debug.CgroupLogMetrics n -
S bool Debug.CgroupDisableOnProcessCheckFailure y -
S bool Debug.CgroupDisableOnQuotaCheckFailure y -
S int  Debug.AgentCpuQuota 50 -
S int  Debug.AgentCpuThrottledTimeThreshold 120 -
S int  Debug.AgentMemoryQuota 31457280 -
S bool Debug.EnableAgentMemoryUsageCheck n -
S bool Debug.EnableFastTrack y -
S bool Debug.EnableGAVersioning y -
S int  Debug.EtpCollectionPeriod 300 -
- int  Debug.SelfUpdateHotfixFrequency 14400 -
- int  Debug.SelfUpdateRegularFrequency 86400 -
S bool Debug.EnableCgroupV2ResourceLimiting y -
S int  Debug.LogCollectorInitialDelay 300 -
S bool Debug.EnableExtensionPolicy n -
S bool Debug.EnableSignatureValidation n -
"""

# What the spec calls keys without effect, of which three are listed, and two that we honour.
ADDED = {
    "Debug.FirewallRulesLogPeriod",
    "Debug.AutoUpdateHotfixFrequency",
    "Debug.AutoUpdateNormalFrequency",
    "Provisioning.Enabled",
    "Provisioning.UseCloudInit",
}

TYPES = {
    "bool": {Kind.SWITCH},
    "int": {Kind.NUMBER, Kind.SECONDS},
    "str": {Kind.TEXT, Kind.PATH},
}

ROWS = [line.split() for line in FACTS.strip().splitlines()]


@pytest.mark.parametrize(("listed", "type_name", "key", "default", "shipped"), ROWS)
def test_option_is_as_the_spec_has_it(
    listed: str, type_name: str, key: str, default: str, shipped: str
) -> None:
    option = BY_KEY[key].option
    assert option.listed is (listed == "S")
    assert option.kind in TYPES[type_name]
    assert show_value(option.default) == default
    assert option.shipped == (None if shipped == "-" else shipped)


def test_options_are_those_of_the_spec_and_no_others() -> None:
    assert {row[2] for row in ROWS} | ADDED == BY_KEY.keys()


def test_listing_has_as_many_switches_texts_and_numbers_as_the_spec_counts() -> None:
    listed = [each.option for each in BY_KEY.values() if each.option.listed]
    counts = [sum(each.kind in kinds for each in listed) for kinds in TYPES.values()]
    assert counts == [33, 23, 20]
    assert len(show_configuration(Conf()).splitlines()) == 76
