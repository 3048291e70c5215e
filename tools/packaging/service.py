"""Enable and start the service of an agent that was just installed on this machine."""

from __future__ import annotations

import subprocess

from tools.packaging.families import Family, Init


def plan_registration(family: Family) -> tuple[tuple[str, ...], ...]:
    """The commands: enable, stop what runs, start."""
    script, name = family.init_script, family.service
    if family.unit_dir:
        words = ("enable", "stop", "start")
        return (("systemctl", "daemon-reload"), *(("systemctl", word, name) for word in words))
    if script and script.kind is Init.OPENRC:
        enable: tuple[str, ...] = ("rc-update", "add", name, "default")
        return (enable, ("rc-service", name, "stop"), ("rc-service", name, "start"))
    enable = ("update-rc.d", name, "defaults")
    return (enable, ("service", name, "stop"), ("service", name, "start"))


def register_service(family: Family) -> None:
    """Run them; a failure is told and stops nothing, since stopping what does not run is one."""
    for argv in plan_registration(family):
        try:
            code = subprocess.run(argv, check=False).returncode
        except OSError as error:
            print(f"cannot run {' '.join(argv)}: {error}")
            continue
        if code:
            print(f"cannot {' '.join(argv)}: it exited with {code}")
