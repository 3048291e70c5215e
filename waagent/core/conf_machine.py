"""Options about this machine: provisioning, resource disk, operating system, logs and paths.

Keys, defaults and shipped values are the reference's (spec CLI 2.3 and 2.4); the words are ours.
"""

from __future__ import annotations

from typing import Optional

from waagent.core.options import (
    DISTROS,
    GENERIC_ONLY,
    Limits,
    number,
    path,
    seconds,
    switch,
    text,
)
from waagent.core.records import dataclass

_LOG_COLLECTING = ("chainguard", "debian", "suse", "ubuntu")
_NO_LOG_COLLECTION_KEYS = {name: None for name in DISTROS if name not in _LOG_COLLECTING}


@dataclass(frozen=True)
class ProvisioningConf:
    """Who sets up a new machine, and how."""

    agent: str = text(
        "Provisioning.Agent",
        "auto",
        "Who provisions the machine: cloud-init, waagent, auto (cloud-init where it is enabled,"
        " waagent elsewhere) or disabled (nobody; the machine is reported ready as it is).",
        shipped="auto",
        distros={"photonos": None},
        limits=Limits(("auto", "waagent", "cloud-init", "disabled"), otherwise="disabled"),
    )
    delete_root_password: bool = switch(
        "Provisioning.DeleteRootPassword",
        False,
        "Lock root's password when provisioning and when deprovisioning.",
        shipped="y",
        distros={"arch": "n", "coreos": "n"},
    )
    regenerate_ssh_host_key_pair: bool = switch(
        "Provisioning.RegenerateSshHostKeyPair",
        False,
        "Make new SSH host keys when provisioning, and delete them when deprovisioning.",
        shipped="y",
        distros={"coreos": "n", "ubuntu": "n"},
    )
    ssh_host_key_pair_type: str = text(
        "Provisioning.SshHostKeyPairType",
        "rsa",
        "Type of the SSH host key: rsa, dsa, ecdsa or ed25519; auto makes every type that"
        " ssh-keygen makes by itself, and the rsa key's fingerprint is the one reported.",
        shipped="rsa",
        distros={"chainguard": "auto", "coreos": "ed25519", "debian": "auto", "devuan": "auto"},
        limits=Limits(("rsa", "dsa", "ecdsa", "ed25519", "auto")),
    )
    monitor_host_name: bool = switch(
        "Provisioning.MonitorHostName",
        False,
        "Notice when the host name changes, and publish the new one through DHCP.",
        shipped="y",
        distros={"alpine": "n", "ubuntu": "n"},
    )
    monitor_host_name_period_s: int = seconds(
        "Provisioning.MonitorHostNamePeriod",
        30,
        "How often the host name is looked at.",
        shipped="30",
        distros=GENERIC_ONLY,
    )
    decode_custom_data: bool = switch(
        "Provisioning.DecodeCustomData",
        False,
        "Decode custom data from base64 before it is saved.",
        shipped="n",
        distros={"alpine": "y", "clearlinux": "y", "mariner": "y", "photonos": "y"},
    )
    execute_custom_data: bool = switch(
        "Provisioning.ExecuteCustomData",
        False,
        "Run custom data once, as root, after it is saved. It is then decoded, too.",
        shipped="n",
        distros={"alpine": "y"},
    )
    allow_reset_sys_user: bool = switch(
        "Provisioning.AllowResetSysUser",
        False,
        "Let the agent set the password of a system account, one with a uid below the UID_MIN"
        " of /etc/login.defs.",
        shipped="n",
        distros={"alpine": None},
    )
    password_crypt_id: str = text(
        "Provisioning.PasswordCryptId",
        "6",
        "Method by which a password is hashed, as crypt(3) names it: 6 is SHA-512, 5 is SHA-256.",
        shipped="#6",
        limits=Limits(pattern="[A-Za-z0-9]+"),
    )
    password_crypt_salt_length: int = number(
        "Provisioning.PasswordCryptSaltLength",
        10,
        "Length of the random salt of a password hash.",
        shipped="#10",
        least=1,
        most=1024,
    )
    enabled: bool = switch(
        "Provisioning.Enabled",
        True,
        "Key of agents before 2.2.45, honoured where Provisioning.Agent is auto: n means that"
        " the agent itself never provisions.",
        listed=False,
    )
    use_cloud_init: bool = switch(
        "Provisioning.UseCloudInit",
        False,
        "Key of agents before 2.2.45, honoured where Provisioning.Agent is auto and"
        " Provisioning.Enabled is n: y means that cloud-init provisions.",
        listed=False,
    )

    def provisioner(self, *, cloud_init_enabled: bool) -> str:
        """Say who provisions: ``cloud-init``, ``waagent`` or ``disabled`` (spec DAEMON 5.1, 12.2).

        Where cloud-init is enabled it also has its turn with ``Provisioning.Enabled=n``: old
        images carry that key beside ``auto`` and rely on being reported ready by cloud-init.
        """
        if self.agent != "auto":
            return self.agent
        if cloud_init_enabled:
            return "cloud-init"
        if self.enabled:
            return "waagent"
        return "cloud-init" if self.use_cloud_init else "disabled"


@dataclass(frozen=True)
class ResourceDiskConf:
    """The temporary disk and the swap file on it."""

    format: bool = switch(
        "ResourceDisk.Format",
        False,
        "Find the temporary disk, format it if needed and mount it when the daemon starts.",
        shipped="y",
        distros={"mariner": "n", "photonos": "n", "ubuntu": "n"},
    )
    filesystem: str = text(
        "ResourceDisk.Filesystem",
        "ext3",
        "File system of the temporary disk. Its mkfs program must exist.",
        shipped="ext4",
        distros={"suse": "btrfs"},
        limits=Limits(pattern="[A-Za-z0-9._-]+"),
    )
    mount_point: str = path(
        "ResourceDisk.MountPoint",
        "/mnt/resource",
        "Where the temporary disk is mounted.",
        shipped="/mnt/resource",
        distros={"ubuntu": "/mnt"},
    )
    mount_options: Optional[str] = text(
        "ResourceDisk.MountOptions",
        None,
        "Options for mount -o, with commas between them.",
        shipped="None",
        distros={"clearlinux": None, "mariner": None, "photonos": None, "suse": "compress=lzo"},
    )
    enable_swap: bool = switch(
        "ResourceDisk.EnableSwap",
        False,
        "Make a swap file on the temporary disk.",
        shipped="n",
    )
    enable_swap_encryption: bool = switch(
        "ResourceDisk.EnableSwapEncryption",
        False,
        "Encrypt the swap. Only FreeBSD had this; it has no effect on Linux.",
    )
    swap_size_mb: int = number(
        "ResourceDisk.SwapSizeMB",
        0,
        "Size of the swap file in MiB; needed where swap is enabled.",
        shipped="0",
    )


@dataclass(frozen=True)
class OsConf:
    """What the agent keeps watch over in the operating system, and where things are in it."""

    enable_firewall: bool = switch(
        "OS.EnableFirewall",
        False,
        "Keep users other than root away from the wire server with packet filter rules.",
        shipped="y",
        distros={"debian": "n", "photonos": None},
    )
    enable_firewall_period_s: int = seconds(
        "OS.EnableFirewallPeriod",
        300,
        "How often the packet filter rules are checked.",
        shipped="30",
        distros=GENERIC_ONLY,
    )
    remove_persistent_net_rules_period_s: int = seconds(
        "OS.RemovePersistentNetRulesPeriod",
        30,
        "How often udev rules that pin network names to an old machine are moved away.",
        shipped="30",
        distros=GENERIC_ONLY,
    )
    monitor_dhcp_client_restart_period_s: int = seconds(
        "OS.MonitorDhcpClientRestartPeriod",
        30,
        "How often the agent looks whether the DHCP client was restarted, which loses routes.",
        shipped="30",
        distros=GENERIC_ONLY,
    )
    root_device_scsi_timeout: Optional[str] = text(
        "OS.RootDeviceScsiTimeout",
        None,
        "Time-out in seconds to set on SCSI disks; None leaves them alone.",
        shipped="300",
        limits=Limits(pattern="[0-9]{1,9}"),
    )
    root_device_scsi_timeout_period_s: int = seconds(
        "OS.RootDeviceScsiTimeoutPeriod",
        30,
        "How often the time-out of SCSI disks is checked.",
        shipped="30",
        distros=GENERIC_ONLY,
    )
    openssl_path: str = text(
        "OS.OpensslPath",
        "/usr/bin/openssl",
        "The openssl program. The agent does its own cryptography and hardly needs it.",
        shipped="None",
    )
    enable_fips: bool = switch(
        "OS.EnableFIPS",
        False,
        "Ask for FIPS mode in the agent and in what it starts.",
        shipped="n",
    )
    allow_http: bool = switch(
        "OS.AllowHTTP",
        False,
        "Fall back to plain HTTP where this Python has no TLS.",
        shipped="#n",
        distros={"coreos": "y"},
    )
    ssh_dir: str = path(
        "OS.SshDir",
        "/etc/ssh",
        "Where sshd_config and the SSH host keys are.",
        shipped="/etc/ssh",
    )
    ssh_client_alive_interval_s: int = number(
        "OS.SshClientAliveInterval",
        180,
        "ClientAliveInterval that is written to sshd_config when provisioning, in seconds.",
        shipped="#180",
    )
    home_dir: str = path(
        "OS.HomeDir",
        "/home",
        "Stands for $HOME in the key paths of the provisioning document.",
    )
    password_path: str = path("OS.PasswordPath", "/etc/shadow", "The file with password hashes.")
    sudoers_dir: str = path(
        "OS.SudoersDir", "/etc/sudoers.d", "Where the agent writes its sudoers file."
    )
    enable_rdma: bool = switch(
        "OS.EnableRDMA",
        False,
        "Set up RDMA (InfiniBand) devices.",
        shipped="#y",
    )
    update_rdma_driver: bool = switch(
        "OS.UpdateRdmaDriver",
        False,
        "Let RDMA set-up update the driver or the kernel. Switches RDMA on.",
        distros={"ubuntu": "#y"},
    )
    check_rdma_driver: Optional[bool] = switch(
        "OS.CheckRdmaDriver",
        None,
        "Let RDMA set-up check and install its driver. y switches RDMA on; unset, it is allowed"
        " where one of the other two keys has switched RDMA on.",
        shipped="#y",
    )
    detect_scvmm_env: bool = switch(
        "DetectScvmmEnv",
        False,
        "Look for System Center VMM media at start, and hand over to its installer.",
        shipped="#n",
    )

    @property
    def is_rdma_on(self) -> bool:
        """Whether any of the three RDMA keys asks for it."""
        return self.enable_rdma or self.update_rdma_driver or bool(self.check_rdma_driver)

    @property
    def may_check_rdma_driver(self) -> bool:
        """Whether RDMA set-up may check its driver; only an explicit n forbids it."""
        return self.check_rdma_driver is not False


@dataclass(frozen=True)
class LogsConf:
    """The agent's log. Its file, /var/log/waagent.log, cannot be moved."""

    verbose: bool = switch("Logs.Verbose", False, "Log more detail.", shipped="n")
    console: bool = switch(
        "Logs.Console",
        True,
        "Copy the log to /dev/console until the machine is provisioned.",
        shipped="#y",
        distros={"alpine": "y"},
    )
    collect: bool = switch(
        "Logs.Collect",
        True,
        "Collect logs from time to time and hand them to the host, for support.",
        shipped="y",
        distros=_NO_LOG_COLLECTION_KEYS,
    )
    collect_period_s: int = seconds(
        "Logs.CollectPeriod",
        3600,
        "How often logs are collected.",
        shipped="3600",
        distros=_NO_LOG_COLLECTION_KEYS,
    )


@dataclass(frozen=True)
class PathsConf:
    """Where the agent keeps things. Other software counts on the defaults."""

    lib_dir: str = path(
        "Lib.Dir", "/var/lib/waagent", "The agent's state.", shipped="#/var/lib/waagent"
    )
    dvd_mount_point: str = path(
        "DVD.MountPoint",
        "/mnt/cdrom/secure",
        "Where provisioning media is mounted.",
        shipped="#/mnt/cdrom/secure",
    )
    pid_file: str = path(
        "Pid.File", "/var/run/waagent.pid", "The daemon's pid.", shipped="#/var/run/waagent.pid"
    )
    extension_log_dir: str = path(
        "Extension.LogDir",
        "/var/log/azure",
        "Parent folder of the extensions' logs.",
        shipped="#/var/log/azure",
    )
