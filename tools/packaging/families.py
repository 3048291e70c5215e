"""The table: what goes where in each family of distributions. Data only.

``setup.py``, ``make install``, the Debian package and the RPMs all read it; staging.py carries it
out. What a running agent must know of a distribution is in waagent/guest/profiles.py; a test
holds the two together.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Optional


class Init(enum.Enum):
    """Which kind of init script; the value is its template in init/."""

    OPENRC = "openrc/waagent.in"
    SYSV = "sysv/waagent.in"


@dataclass(frozen=True)
class InitScript:
    """An init script, for machines without systemd, and the file that can switch it off."""

    kind: Init
    path: str
    switch_path: Optional[str] = None


@dataclass(frozen=True)
class Family:
    """A row: distributions that get the same files in the same places (spec CLI 6.3, 6.4)."""

    name: str
    names: tuple[str, ...]
    """What os-release calls them, and what older installers called them."""
    conf: str
    """The shipped configuration, in config/."""
    conf_path: str = "/etc/waagent.conf"
    python: str = "/usr/bin/python3"
    python_dir: str = "/usr/lib/waagent"
    """Where the modules go. A folder of our own outlives the distribution's next Python."""
    program_dir: str = "/usr/sbin"
    unit_dir: Optional[str] = "/usr/lib/systemd/system"
    service: str = "waagent"
    alias: Optional[str] = None
    wants: tuple[str, ...] = ("network-online.target", "sshd.service", "sshd-keygen.service")
    """Debian's sshd.service is there only where an administrator enabled ssh: as it should be."""
    after: tuple[str, ...] = ("network-online.target",)
    slices: bool = True
    preset_dir: Optional[str] = None
    udev_dir: Optional[str] = "/usr/lib/udev/rules.d"
    """A place for packages; /etc/udev/rules.d is the administrator's."""
    logrotate: bool = True
    man_dir: Optional[str] = "/usr/share/man/man1"
    doc_dir: Optional[str] = "/usr/share/doc/waagent"
    license_dir: Optional[str] = "/usr/share/licenses/waagent"
    init_script: Optional[InitScript] = None

    @property
    def program(self) -> str:
        """The agent's command."""
        return f"{self.program_dir}/waagent"


_CLOUD_INIT_FIRST = ("network-online.target", "cloud-init.service")
_NETWORKD_WANTS = (
    "systemd-networkd-wait-online.service",
    "sshd.service",
    "sshd-keygen.service",
)
_NETWORKD_AFTER = ("systemd-networkd-wait-online.service", "cloud-init.service")

DEBIAN = Family(
    "debian",
    ("debian", "kali"),
    conf="debian/waagent.conf",
    python_dir="/usr/lib/python3/dist-packages",
    unit_dir="/lib/systemd/system",
    service="walinuxagent",
    alias="waagent",
    udev_dir="/lib/udev/rules.d",
    license_dir=None,  # a Debian package has its own form for this
)
UBUNTU = replace(
    DEBIAN,
    name="ubuntu",
    names=("ubuntu",),
    conf="ubuntu/waagent.conf",
    after=_CLOUD_INIT_FIRST,
)
DEVUAN = replace(
    DEBIAN,
    name="devuan",
    names=("devuan",),
    conf="devuan/waagent.conf",
    unit_dir=None,
    alias=None,
    slices=False,
    init_script=InitScript(
        Init.SYSV, "/etc/init.d/walinuxagent", switch_path="/etc/default/walinuxagent"
    ),
)
REDHAT = Family(
    "redhat",
    (
        "redhat",
        "rhel",
        "centos",
        "oracle",
        "ol",
        "almalinux",
        "cloudlinux",
        "rocky",
        "euleros",
        "uos",
    ),
    conf="waagent.conf",
)
FEDORA = replace(REDHAT, name="fedora", names=("fedora",))
SUSE = Family(
    "suse",
    (
        *("suse", "sle-micro", "sl-micro", "sle_hpc"),
        *("opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-microos"),
    ),
    conf="suse/waagent.conf",
)
SLES = replace(SUSE, name="sles", names=("sles",))
AZURELINUX = Family(
    "azurelinux",
    ("azurelinux", "mariner"),
    conf="mariner/waagent.conf",
    program_dir="/usr/bin",
    wants=_NETWORKD_WANTS,
    after=_NETWORKD_AFTER,
)
PHOTON = Family(
    "photon",
    ("photon", "photonos"),
    conf="photonos/waagent.conf",
    program_dir="/usr/bin",
    wants=_NETWORKD_WANTS,
    after=_NETWORKD_AFTER,
    udev_dir=None,
    logrotate=False,
    man_dir=None,
    doc_dir=None,
    license_dir=None,
)
ARCH = Family(
    "arch", ("arch",), conf="arch/waagent.conf", program_dir="/usr/bin", logrotate=False
)  # fmt: skip
CHAINGUARD = Family(
    "chainguard",
    ("chainguard", "wolfi"),
    conf="chainguard/waagent.conf",
    program_dir="/usr/bin",
    preset_dir="/usr/lib/systemd/system-preset",
    logrotate=False,
    man_dir=None,
    doc_dir=None,
    license_dir=None,
)
CLEARLINUX = Family(
    "clearlinux",
    ("clear-linux-os", "clearlinux"),
    conf="clearlinux/waagent.conf",
    conf_path="/usr/share/defaults/waagent/waagent.conf",
    program_dir="/usr/bin",
    udev_dir=None,
    logrotate=False,
    man_dir=None,
    doc_dir=None,
    license_dir=None,
)
FLATCAR = Family(
    "flatcar",
    ("flatcar", "coreos"),
    conf="coreos/waagent.conf",
    conf_path="/usr/share/oem/waagent.conf",
    python="/usr/share/oem/python/bin/python3",
    python_dir="/usr/share/oem/waagent",
    program_dir="/usr/share/oem/bin",
    unit_dir="/lib/systemd/system",
    wants=("network-online.target", "sshd-keygen.service"),
    after=("network-online.target", "sshd-keygen.service"),
    udev_dir="/etc/udev/rules.d",
    man_dir=None,
    doc_dir=None,
    license_dir=None,
)
ALPINE = Family(
    "alpine",
    ("alpine", "alpaquita"),
    conf="alpine/waagent.conf",
    unit_dir=None,
    slices=False,
    udev_dir="/etc/udev/rules.d",
    man_dir=None,
    doc_dir=None,
    license_dir=None,
    init_script=InitScript(Init.OPENRC, "/etc/init.d/waagent"),
)
DEFAULT = Family(
    "default",
    (),
    conf="waagent.conf",
    unit_dir="/lib/systemd/system",
    udev_dir="/etc/udev/rules.d",
    init_script=InitScript(Init.SYSV, "/etc/rc.d/init.d/waagent"),
)

FAMILIES = (
    DEBIAN,
    UBUNTU,
    DEVUAN,
    REDHAT,
    FEDORA,
    SUSE,
    SLES,
    AZURELINUX,
    PHOTON,
    ARCH,
    CHAINGUARD,
    CLEARLINUX,
    FLATCAR,
    ALPINE,
    DEFAULT,
)


def family_of(name: str) -> Family:
    """The row of a family or of a distribution; an unknown one gets the default row."""
    for family in FAMILIES:
        if name == family.name or name in family.names:
            return family
    return DEFAULT
