"""A machine that was set up and used, made by real programs, and what is left of it afterwards.

Only on a copy of a machine that is thrown away: ``make_used`` fails anywhere else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from tests.fabric.media import OvfMedia, render_ovf_env

THROWAWAY = Path("/waagent-throwaway")
USER = "azureuser"
NAMESAKE = "azureuser2"
SYSTEM_USER = "daemon"
OLD_NAME = "old-name-of-the-vm"
LIB = Path("/var/lib/waagent")
EXTENSION_LOGS = Path("/var/log/azure")
LOG = Path("/var/log/waagent.log")
SSH = Path("/etc/ssh")
SUDOERS = Path("/etc/sudoers.d/waagent")
CLOUD_SUDOERS = Path("/etc/sudoers.d/90-cloud-init-users")
RESOLV = Path("/etc/resolv.conf")
POOL = Path("/var/lib/hyperv/.kvp_pool_0")
UNITS = Path("/lib/systemd/system")
BYSTANDER = Path("/var/lib/bystander")
KEPT_FOR_USER = (Path(f"/var/spool/cron/crontabs/{USER}"), Path(f"/var/lib/systemd/linger/{USER}"))
BACKUPS = tuple(Path(f"/etc/{name}-") for name in ("passwd", "shadow", "group", "gshadow"))
HISTORY = Path("/root") / ".bash_history"
CONF = Path("/run/waagent.conf")
SETTINGS = "Provisioning.DeleteRootPassword=y\nProvisioning.RegenerateSshHostKeyPair=y\n"
KEYS = ("ssh_host_ed25519_key", "ssh_host_ecdsa_key")
LEASES = (
    "/var/lib/dhcp/dhclient.eth0.leases",
    "/var/lib/dhclient/dhclient-eth0.lease",
    "/var/lib/dhcpcd/eth0.lease",
    "/var/lib/dhcpcd/duid",
    "/var/lib/NetworkManager/internal-11-eth0.lease",
    "/var/lib/NetworkManager/dhclient-22-eth0.lease",
    "/var/lib/wicked/lease-eth0-dhcp-ipv4.xml",
    "/run/systemd/netif/leases/2",
    "/run/wicked/leaseinfo.eth0.dhcp.ipv4",
    "/var/lib/udhcpc/eth0.lease",
)
GENERATED = (
    "walinuxagent-network-setup.service",
    "waagent-network-setup.service",
    "walinuxagent.service.d/10-Slice.conf",
    "walinuxagent.service.d/12-CPUQuota.conf",
    "waagent.service.d/10-Slice.conf",
    "waagent.service.d/12-CPUQuota.conf",
    "azure-walinuxagent-logcollector.slice",
)
STATE = {
    "provisioned": "33221100-5544-7766-8899-AABBCCDDEEFF",
    "ready_reported": "33221100-5544-7766-8899-AABBCCDDEEFF",
    "published_hostname": OLD_NAME,
    "ABCDEF.prv": "a private key",
    "TransportPrivate.pem": "another",
    "GoalState.1.xml": "<GoalState/>",
    "waagent-network-setup.py": "print()",
    "events/1.waagent.tld": "{}",
    "history/2026-01-01T00-00-00__1/GoalState.xml": "<GoalState/>",
    "Some.Handler-1.0.0/config/0.settings": "{}",
    "Some.Handler-1.0.0/bin/run.sh": "exit",
    "WALinuxAgent-2.15.9.9/bin/agent.egg": "zip",
}


def make_used() -> None:
    """A machine with a user, keys, leases, state: all that deprovision is for."""
    assert THROWAWAY.exists(), "this is no copy of a machine"
    for name in (USER, NAMESAKE):
        if not has_account(name):
            subprocess.run(["useradd", "-m", name], check=True, capture_output=True)
        write(Path(f"/home/{name}/.ssh/authorized_keys"), "ssh-ed25519 AAAA me\n")
    write(SUDOERS, f"{USER} ALL=(ALL) ALL\n{NAMESAKE} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    rule = f"# Created by cloud-init\n\n# User rules for {USER}\n{USER} ALL=(ALL) NOPASSWD:ALL\n"
    write(CLOUD_SUDOERS, rule, 0o440)
    _make_keys()
    write(SSH / "ssh_host_rsa_key-cert.pub", "a certificate\n")
    write(SSH / "ssh_host_keys_of_mine", "no key of the host\n")
    write(SSH / ".ssh_host_rsa_key.0123456789ab", "half written\n")
    for lease in LEASES:
        write(Path(lease), "lease of this machine\n")
    for name, text in STATE.items():
        write(LIB / name, text)
    write(LIB / "ovf-env.xml", render_ovf_env(OvfMedia(user=USER)).decode(), 0o600)
    _link(LIB / "link-to-homes", "/home")
    _link(LIB / "Some.Handler-1.0.0/link-up", "../../bystander")
    with contextlib.suppress(FileExistsError):
        os.mkfifo(LIB / "a pipe")
    write(BYSTANDER / "keep", "not ours\n")
    write(EXTENSION_LOGS / "Some.Handler/CommandExecution.log", "log\n")
    for path in (LOG, Path(f"{LOG}.1"), Path(f"{LOG}-20260101.gz"), Path("/var/log/syslog.9")):
        write(path, f"{OLD_NAME}\n")
    write(POOL, "HostName\0old host")
    for name in GENERATED:
        write(UNITS / name, "[Unit]\n")
    write(HISTORY, "secret\n")
    RESOLV.unlink(missing_ok=True)
    write(RESOLV, "nameserver 10.0.0.1\n")
    write(Path("/etc/hostname"), f"{OLD_NAME}\n")
    subprocess.run(["hostname", OLD_NAME], check=True)
    subprocess.run(["usermod", "-p", "hash-of-root", "root"], check=True, capture_output=True)
    write(Path("/etc/dhcp/dhclient.conf"), f'send host-name "{OLD_NAME}";\n')
    for path in KEPT_FOR_USER:
        write(path, "* * * * * true\n")
    write(CONF, SETTINGS)


def snapshot() -> dict[str, str]:
    """All that deprovision may touch, path by path: kind, mode and content."""
    found: dict[str, str] = {}
    folders = (
        *(LIB, EXTENSION_LOGS, SSH, UNITS, BYSTANDER, SUDOERS.parent, POOL.parent),
        *(Path("/home"), *(Path(lease).parent for lease in LEASES)),
    )
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            found[str(path)] = _describe(path)
    for path in (*Path("/var/log").glob("*waagent*"), HISTORY, RESOLV):
        found[str(path)] = _describe(path)
    for path in (*KEPT_FOR_USER, *BACKUPS):
        found[str(path)] = _describe(path)
    for name in ("/etc/hostname", "/etc/dhcp/dhclient.conf", "/etc/passwd", "/etc/machine-id"):
        found[name] = _describe(Path(name))
    shadow = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    found["root's password"] = next(line for line in shadow if line.startswith("root:"))
    found["first of shadow"] = shadow[0]
    found["host name"] = os.uname().nodename
    return found


def run_waagent(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The real command."""
    assert THROWAWAY.exists(), "this is no copy of a machine"
    return subprocess.run(
        command(*words), input=stdin, capture_output=True, text=True, check=False, timeout=120
    )


def command(*words: str) -> list[str]:
    """How it is called."""
    return [sys.executable, "-m", "waagent", *words, f"-configuration-path:{CONF}"]


def has_account(name: str) -> bool:
    """Whether the machine knows the user."""
    text = Path("/etc/passwd").read_text(encoding="utf-8")
    return any(line.startswith(f"{name}:") for line in text.splitlines())


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """A file, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _make_keys() -> None:
    for name in KEYS:
        kind = name.split("_")[2]
        path = SSH / name
        if not path.exists():
            argv = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(path)]
            subprocess.run(argv, check=True, capture_output=True)


def _link(path: Path, target: str) -> None:
    if path.is_symlink():
        path.unlink()
    path.symlink_to(target)


def _describe(path: Path) -> str:
    try:
        state = path.lstat()
    except FileNotFoundError:
        return "absent"
    kind = stat.S_IFMT(state.st_mode)
    if kind == stat.S_IFLNK:
        return f"link to {path.readlink()}"
    if kind != stat.S_IFREG:
        return stat.filemode(state.st_mode)
    return f"{stat.filemode(state.st_mode)} {path.read_bytes()!r}"


def forget_user(name: str) -> None:
    """For a test that leaves one behind."""
    subprocess.run(["userdel", "-f", "-r", name], check=False, capture_output=True)
    shutil.rmtree(f"/home/{name}", ignore_errors=True)
