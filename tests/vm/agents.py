"""The agent that an image gets: a package of ours, Debian's own, or a plain `make install`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

from tests.vm.image import Image
from tests.vm.roots import INSTALL, BareSystem
from tests.vm.shell import run

CHECKOUT = Path(__file__).resolve().parents[2]

# Debian leaves provisioning to cloud-init, which would take most of the time that is measured.
PROVISION_ITSELF = "sed -i 's/^Provisioning.Agent=.*/Provisioning.Agent=auto/' /etc/waagent.conf"
AS_SHIPPED = PROVISION_ITSELF.replace("=auto", "=cloud-init")

# The peer's unit starts on Hyper-V only; a drop-in lifts that, and nothing else of it is touched.
DROP_IN = "/etc/systemd/system/walinuxagent.service.d"
ON_ANY_HYPERVISOR = f"""
mkdir -p {DROP_IN}
printf '[Unit]\\nConditionVirtualization=\\n' >{DROP_IN}/any-hypervisor.conf
"""

# Folders of the image stay what they are: links (/lib, on a merged /usr), with their modes.
TAKE_OVER = """
tar -C /mnt -cf - . | tar -C / -xpf - --keep-directory-symlink --no-overwrite-dir
systemctl enable waagent.service || systemctl enable walinuxagent.service
"""

# For the scripts in breaks/: edit a module or another file with sed, which has to change it.
CHANGE = """
change() {
  case $1 in /*) file=$1 ;; *) file=/usr/lib/python3/dist-packages/$1 ;; esac
  cp "$file" /tmp/before
  sed -i "$2" "$file"
  ! cmp -s "$file" /tmp/before || { echo "cannot break $file: $2 changes nothing"; exit 1; }
}
"""


class Agent(Protocol):
    """Something that can be installed on a disk."""

    @property
    def title(self) -> str:
        """What it is called in tables."""
        ...

    def install(self, base: BareSystem, image: Image, log: Path) -> None:
        """Install and enable it on a disk of a base."""
        ...


@dataclass(frozen=True)
class DebPackage:
    """A .deb, by apt: so that its dependencies are really those of the distribution.

    `damage` is a script of tests/vm/breaks/, which breaks the installed agent on purpose.
    """

    path: Path
    damage: Optional[Path] = None

    @property
    def title(self) -> str:
        """The package's file name."""
        return self.path.name + (f", broken: {self.damage.stem}" if self.damage else "")

    def install(self, base: BareSystem, image: Image, log: Path) -> None:
        """Install it; only what the base lacks is downloaded."""
        with tempfile.TemporaryDirectory(prefix="waagent-vm-") as name:
            shutil.copy(self.path, name)
            image.change(f"{INSTALL} /mnt/{self.path.name}", given=Path(name), log=log)
        if self.damage is not None:
            image.change(CHANGE + self.damage.read_text(encoding="utf-8"), log=log)


@dataclass(frozen=True)
class DebiansOwn:
    """The package `waagent` of the distribution; its program is only run, never read."""

    @property
    def title(self) -> str:
        """As people know it."""
        return "Debian's waagent"

    def install(self, base: BareSystem, image: Image, log: Path) -> None:
        """Install it from the archive."""
        steps = (f"{INSTALL} waagent", ON_ANY_HYPERVISOR, PROVISION_ITSELF, "apt-get clean")
        image.change("\n".join(steps), log=log)


@dataclass(frozen=True)
class FromSource:
    """`make install`, for a distribution whose package cannot be built or installed here."""

    @property
    def title(self) -> str:
        """What it is."""
        return "make install"

    def install(self, base: BareSystem, image: Image, log: Path) -> None:
        """Stage the files, copy them over, and enable the unit."""
        with tempfile.TemporaryDirectory(prefix="waagent-vm-") as name:
            words = (f"DESTDIR={name}", f"FAMILY={base.family}")
            run("make", "-C", str(CHECKOUT), "install", *words, log=log)
            image.change(TAKE_OVER, given=Path(name), log=log)


def build_package() -> Path:
    """`make deb`, and the package that came of it."""
    done = subprocess.run(
        ["make", "-C", str(CHECKOUT), "-s", "deb"], stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit("cannot build the package: make deb failed")
    return max((CHECKOUT / "dist").glob("waagent_*_all.deb"), key=lambda p: p.stat().st_mtime_ns)


def choose_agent(text: str, damage: Optional[Path] = None) -> Agent:
    """`ours`, `debian`, `source`, or the path of a .deb, which may be broken on purpose."""
    if damage is not None and text in ("debian", "source"):
        raise SystemExit(f"cannot break {text}: only packages of ours are broken on purpose")
    if text == "debian":
        return DebiansOwn()
    if text == "source":
        return FromSource()
    path = build_package() if text == "ours" else Path(text)
    if not path.is_file():
        raise SystemExit(f"cannot find the package {path}; AGENT is ours, debian, source or a .deb")
    return DebPackage(path, damage)
