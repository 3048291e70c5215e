"""What a first boot must have done to the machine: service, name, disc, keys, files, logs."""

from __future__ import annotations

import base64
import re

from tests.vm.lab import Booted
from tests.vm.machine import DRIVE_OPENED, Machine

LIB = "/var/lib/waagent"
LOG = "/var/log/waagent.log"
SERVICE_FACTS = ("ActiveState", "SubState", "Type", "Result", "NRestarts", "MainPID", "StatusText")

# Modes that hold a secret, or what others rely on; everything else is held to the rules below.
MODES = {
    LIB: "700",
    f"{LIB}/ovf-env.xml": "400",
    f"{LIB}/provisioned": "644",
    f"{LIB}/TransportPrivate.pem": "400",
    f"{LIB}/TransportCert.pem": "400",
    f"{LIB}/WireServerEndpoint": "644",
    "/run/waagent.pid": "644",
    "/etc/waagent.conf": "644",
    "/etc/sudoers.d/waagent": "440",
}


def service_facts(machine: Machine, unit: str) -> dict[str, str]:
    """What systemd says about a unit."""
    text = machine.must("systemctl", "show", unit, *(f"-p{name}" for name in SERVICE_FACTS))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def see_service(on: Booted) -> tuple[bool, str]:
    """The unit is ready by its own word, never restarted, and enabled under both its names."""
    facts = service_facts(on.machine, f"{on.lab.service}.service")
    good = facts["ActiveState"] == "active" and facts["SubState"] == "running"
    good = good and facts["Type"] == "notify" and facts["NRestarts"] == "0"
    enabled = on.machine.run("systemctl", "is-enabled", f"{on.lab.service}.service").said
    alias = on.machine.run("systemctl", "is-active", "waagent.service").said
    good = good and enabled == "enabled" and alias == "active" and facts["StatusText"] != ""
    return good, f"{enabled}, {facts['SubState']}, waagent.service {alias}: {facts['StatusText']}"


def see_system(on: Booted) -> tuple[bool, str]:
    """The whole system is up and no unit failed."""
    state = on.machine.run("systemctl", "is-system-running", "--wait", within_s=120).said
    failed = on.machine.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").said
    return state == "running" and not failed, f"{state} {failed}"


def see_hostname(on: Booted) -> tuple[bool, str]:
    """The kernel, the file and what is published agree."""
    names = [on.machine.must("uname", "-n"), on.machine.read("/etc/hostname")]
    names = [name.strip() for name in [*names, on.machine.read(f"{LIB}/published_hostname")]]
    return set(names) == {on.lab.media_hostname}, f"kernel, file, published: {', '.join(names)}"


def see_disc(on: Booted) -> tuple[bool, str]:
    """The disc was read, is not mounted any more, and the drive's tray was opened."""
    mounted = on.machine.run("findmnt", "-n", "/dev/sr0").said
    opened = on.machine.hardware.has_happened(DRIVE_OPENED)
    return not mounted and opened, f"mounted: {mounted or 'no'}; the tray was opened: {opened}"


def see_files(on: Booted) -> tuple[bool, str]:
    """Modes and owners are as they should be, and no other file of ours is open to anybody."""
    wrong = []
    lines = on.machine.must("stat", "-c", "%a %U:%G %n", *MODES).splitlines()
    for line in lines:
        mode, owner, name = line.split(" ", 2)
        if mode != MODES[name] or owner != "root:root":
            wrong.append(line)
    rules = (
        f"find {LIB} /var/log/azure /var/log/waagent.log ! -type l -perm /022; "
        f"find {LIB} /var/log/azure ! -user root; "
        f"find {LIB} -name '*.prv' -perm /077; "
        f"grep -rl --include='*' 'PRIVATE KEY' {LIB} | xargs -r -I@ find @ -perm /077"
    )
    wrong += on.machine.must("sh", "-c", rules).split("\n")
    wrong = [line for line in wrong if line]
    return not wrong, "; ".join(wrong) or f"{len(lines)} modes, and the rules for all others"


def see_vm_id(on: Booted) -> tuple[bool, str]:
    """The machine is marked as provisioned by its own id."""
    seen = on.machine.read(f"{LIB}/provisioned").strip()
    return seen.lower() == on.machine.vm.identity.vm_id, f"{LIB}/provisioned: {seen}"


def see_endpoint(on: Booted) -> tuple[bool, str]:
    """The wire server is known, from DHCP option 245."""
    seen = on.machine.read(f"{LIB}/WireServerEndpoint").strip()
    return seen == "168.63.129.16", f"{LIB}/WireServerEndpoint: {seen}"


def see_host_keys(on: Booted) -> tuple[bool, str]:
    """The host's keys are new: those of the image are everybody's."""
    shipped = on.lab.image(on.lab.agent).look("cat etc/ssh/ssh_host_*_key.pub 2>/dev/null || true")
    present = on.machine.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    kept = [line for line in present.splitlines() if line and line in shipped]
    kinds = " ".join(line.split()[0] for line in present.splitlines())
    modes = on.machine.must("sh", "-c", "stat -c %a /etc/ssh/ssh_host_*_key").split()
    good = not kept and present.strip() != "" and set(modes) == {"600"}
    return good, f"{kinds}; kept from the image: {len(kept)}; modes {' '.join(modes)}"


def see_custom_data(on: Booted) -> tuple[bool, str]:
    """Custom data is kept as it was given."""
    seen = on.machine.read(f"{LIB}/CustomData")
    good = base64.b64decode(seen).decode() == on.lab.custom_data  # DecodeCustomData=n
    return good, f"{LIB}/CustomData: {len(seen)} characters"


def agent_processes(machine: Machine) -> dict[int, tuple[int, str]]:
    """The agent's own processes: their parents and command lines."""
    text = machine.must("ps", "-eo", "pid=,ppid=,args=")
    rows = [line.split(None, 2) for line in text.splitlines()]
    return {
        int(row[0]): (int(row[1]), row[2])
        for row in rows
        if len(row) == 3 and re.search(r"/waagent -(daemon|run-exthandlers)", row[2])
    }


def see_processes(on: Booted) -> tuple[bool, str]:
    """A daemon below init, its child below it, and nothing else of ours."""
    found = agent_processes(on.machine)
    parents = sorted(parent for parent, _ in found.values())
    good = len(found) == 2 and parents[0] == 1 and parents[1] in found
    main = service_facts(on.machine, f"{on.lab.service}.service")["MainPID"]
    pid = on.machine.read("/run/waagent.pid").strip()
    good = good and pid == main and int(pid) in found
    return good, "; ".join(line for _, line in found.values())


def see_logs(on: Booted) -> tuple[bool, str]:
    """Neither the agent's log nor the journal has a warning, an error or a traceback of ours."""
    log = on.machine.read(LOG).splitlines()
    bad = [line for line in log if re.search(r"Z (WARNING|ERROR) |Traceback", line)]
    unit = ("-u", f"{on.lab.service}.service", "-o", "cat", "--no-pager")
    journal = on.machine.must("journalctl", *unit).splitlines()
    bad += on.machine.must("journalctl", *unit, "-p", "warning").splitlines()
    bad += [line for line in journal if re.search(r"WARNING|ERROR|Traceback|Error:", line)]
    twice = [a for a, b in zip(log, log[1:]) if a == b]
    seen = f"{len(log)} lines of log, {len(journal)} of journal"
    return not bad and not twice, "; ".join([seen, *bad[:5], *twice[:2]])
