"""An agent with the same settings as the other, on a guest that is quiet by itself.

What is changed is the same for every agent: three keys of waagent.conf, and things of the guest's
that have nothing to do with agents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.vm.agents import Agent
from tests.vm.image import Image
from tests.vm.roots import BareSystem

# There is no cloud-init in the image, extensions are wanted, and no other agent may be downloaded.
KEYS = {
    "Provisioning.Agent": "auto",
    "Extensions.Enabled": "y",
    "AutoUpdate.Enabled": "n",
}

# Timers of the distribution that may fall into a window; `noinit_itable`: the kernel does not write
# the rest of a new file system while we count; accounting: so that the agent's group is counted.
QUIET = r"""
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim logrotate man-db \
    systemd-tmpfiles-clean; do
  ln -sf /dev/null "/etc/systemd/system/$timer.timer"
done
sed -i 's/errors=remount-ro/errors=remount-ro,noinit_itable/' /etc/fstab
mkdir -p /etc/systemd/system.conf.d
printf '%s\n' '[Manager]' DefaultCPUAccounting=yes DefaultIOAccounting=yes \
  >/etc/systemd/system.conf.d/bench.conf
"""


def render_keys_script() -> str:
    """A shell script that gives the keys of waagent.conf their values, present or not."""
    lines = []
    for key, value in KEYS.items():
        pattern = key.replace(".", r"\.")
        lines.append(f"sed -i '/^ *{pattern} *=/d' /etc/waagent.conf")
        lines.append(f"printf '\\n%s\\n' '{key}={value}' >>/etc/waagent.conf")
    return "\n".join(lines)


@dataclass(frozen=True)
class Prepared:
    """An agent, and the preparation that is the same for all."""

    agent: Agent
    name: str

    @property
    def title(self) -> str:
        """What the agent is called."""
        return self.agent.title

    def install(self, base: BareSystem, image: Image, log: Path) -> None:
        """Install it, then prepare."""
        self.agent.install(base, image, log)
        image.change(f"{render_keys_script()}\n{QUIET}", log=log)
