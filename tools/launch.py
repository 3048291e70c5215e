"""What `make demo`, containers, vm and bench need is set up, then tests.demo and so on are run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.apt import ensure_programs
from tools.environments import ROOT, choose_environments
from tools.interpreters import find_interpreters

# Programs, and Debian's packages that have them.
FOR_MACHINES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "debootstrap": "debootstrap",
    "genisoimage": "genisoimage",
    "mkfs.ext4": "e2fsprogs",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
}
FOR_CONTAINERS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
FOR_A_VIEW = {
    "ip": "iproute2",
    "mksquashfs": "squashfs-tools",
    "genisoimage": "genisoimage",
    "udhcpc": "udhcpc",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "useradd": "passwd",
    "runuser": "util-linux",
}


@dataclass(frozen=True)
class Program:
    """Something to be run as root, by `make` and its own name."""

    needed: Mapping[str, str]
    makes: str


PROGRAMS = {
    "demo": Program(FOR_A_VIEW, "mount, network, pid, ipc and uts namespaces and an overlay"),
    "faults": Program(FOR_A_VIEW, "the same as make demo, eight at a time"),
    "kills": Program({}, "processes that run extensions, in folders of their own"),
    "endurance": Program({}, "processes that run extensions, in folders of their own"),
    "outages": Program({}, "processes that run extensions, in folders of their own"),
    "containers": Program(FOR_CONTAINERS, "containers, network namespaces and overlays"),
    "vm": Program(FOR_MACHINES, "a network namespace, and mounts images in mount namespaces"),
    "bench": Program(FOR_MACHINES, "a network namespace, and mounts images in mount namespaces"),
}


def become(*command: str) -> NoReturn:
    """This process is the program from now on: whoever tells it to end tells the program."""
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606


def main(argv: Sequence[str]) -> int:
    """Check, set up, and become the program that was named, with the words behind its name."""
    name, *words = argv
    program = PROGRAMS[name]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        print(
            f"make {name} needs root on Linux: it makes {program.makes},\n"
            f"and takes all away again. Run it so: sudo make {name}",
            file=sys.stderr,
        )
        return 1
    ensure_programs(program.needed, f"run make {name}")
    environment = choose_environments(find_interpreters())[0]
    environment.ensure()
    become(str(environment.python), "-m", f"tests.{name}", *words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
