"""The table of distributions of the specification (DAEMON 8.5, 10.3), as it stands there.

Only what this agent can run on: Linux with Python 3.9. Where our table says something else,
``DIFFERENT`` has it with the reason; a reason that no longer applies fails the test.
"""

from __future__ import annotations

from typing import NamedTuple

LIB = "/lib/systemd/system"
USR_LIB = "/usr/lib/systemd/system"
ETC = "/etc/waagent.conf"


class Row(NamedTuple):
    """What the specification says of a distribution; the name of its row there comes first."""

    title: str
    samples: tuple[str, ...]
    service: str
    unit_dir: str
    bin_dir: str
    conf_path: str
    dhcp: str
    jit: bool
    edits_sshd: bool = True
    keeps_resolv_conf: bool = False
    drops_machine_id: bool = False
    ordinary: tuple[str, ...] = ()
    more_path: str = ""


def _sbin(
    title: str, samples: tuple[str, ...], service: str, unit_dir: str, dhcp: str, *, jit: bool
) -> Row:
    return Row(title, samples, service, unit_dir, "/usr/sbin", ETC, dhcp, jit)


def _networkd(title: str, *samples: str) -> Row:
    return Row(title, samples, "waagent", USR_LIB, "/usr/bin", ETC, "systemd-networkd", True)


ROWS = (
    _sbin("default", ("unknown-1", "nothing"), "waagent", LIB, "dhclient", jit=False),
    _sbin("Ubuntu 16", ("ubuntu-16.04",), "walinuxagent", LIB, "dhclient", jit=True),
    _sbin(
        "Ubuntu 18",
        ("ubuntu-18.04", "ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04"),
        *("walinuxagent", LIB, "systemd-networkd"),
        jit=True,
    )._replace(keeps_resolv_conf=True),
    _sbin(
        "Ubuntu other", ("ubuntu-24.10", "ubuntu-25.10"), "walinuxagent", LIB, "dhclient", jit=True
    )._replace(keeps_resolv_conf=True),
    _sbin(
        "Debian modern",
        ("debian-11", "debian-12", "debian-13", "debian-sid", "debian-testing"),
        *("walinuxagent", LIB, "dhclient"),
        jit=True,
    ),
    _sbin(
        "Debian base, Kali, Devuan",
        ("kali-2024.4", "devuan-4", "devuan-5"),
        *("waagent", LIB, "dhclient"),
        jit=True,
    ),
    _sbin(
        "RHEL 7+",
        (
            *("rhel-7.9", "rhel-8.10", "rhel-9.4", "rhel-10.0", "rhel-7-old-files"),
            *("centos-7", "centos-7-old-files", "centos-stream-9", "centos-stream-10"),
            *("oracle-7.9", "oracle-8.9-marker", "oracle-9.4", "oracle-10.0"),
            *("almalinux-9.4", "almalinux-10.0", "cloudlinux-8.10", "cloudlinux-9.4"),
            *("rocky-8.5", "rocky-9.5", "euleros-2.10", "uos-20"),
        ),
        *("waagent", USR_LIB, "dhclient"),
        jit=True,
    ),
    _sbin(
        "SUSE 12+",
        (
            *("sles-12.5", "sles-15.5", "sles-15.7", "sles-16.0", "sle-hpc-15.5"),
            *("sle-micro-5.5", "opensuse-leap-15.6", "opensuse-leap-16.0"),
        ),
        *("waagent", USR_LIB, "wickedd-dhcp4"),
        jit=True,
    ),
    _networkd("Mariner/AzureLinux", "mariner-2.0", "mariner-2.0-marker", "azurelinux-3.0")._replace(
        edits_sshd=False
    ),
    _networkd("Photon", "photon-3.0-marker", "photon-4.0", "photon-5.0")._replace(
        jit=False, edits_sshd=False
    ),
    _networkd("Arch", "arch")._replace(edits_sshd=False, drops_machine_id=True),
    _networkd("Clear Linux", "clear-linux-42000", "clear-linux-usr-lib")._replace(
        conf_path="/usr/share/defaults/waagent/waagent.conf", edits_sshd=False
    ),
    Row(
        "CoreOS/Flatcar",
        ("flatcar-4081", "flatcar-4459"),
        *("waagent", LIB, "/usr/share/oem/bin", "/usr/share/oem/waagent.conf"),
        *("systemd-networkd", True),
        edits_sshd=False,
        drops_machine_id=True,
        ordinary=("core",),
        more_path="/usr/share/oem/python/bin",
    ),
    _networkd("Chainguard", "chainguard"),
    _sbin(
        "Fedora",
        ("fedora-41", "fedora-41-linked", "fedora-42", "fedora-rawhide"),
        *("waagent", USR_LIB, "dhclient"),
        jit=False,
    )._replace(edits_sshd=False),
    _sbin(
        "Alpine/Alpaquita",
        ("alpine-3.20", "alpine-edge", "alpaquita-23"),
        *("waagent", LIB, "dhcpcd"),
        jit=True,
    )._replace(edits_sshd=False),
)

# Row, field, a sample or all of them: what ours says, and why.
DIFFERENT = {
    ("Debian base, Kali, Devuan", "service"): (
        "walinuxagent",
        "their packages come from Debian, whose unit and script have this name",
    ),
    ("Ubuntu other", "dhcp"): (
        "systemd-networkd",
        "later releases have it as the ones before; a range of versions went stale",
    ),
    ("Fedora", "dhcp"): ("NetworkManager", "it asks by itself since Fedora 31"),
    ("SUSE 12+", "dhcp", "sles-16.0"): ("NetworkManager", "wicked is gone"),
    ("SUSE 12+", "dhcp", "opensuse-leap-16.0"): ("NetworkManager", "wicked is gone"),
}
