"""What a first boot must have done, whatever the distribution, and that its services obey."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Optional

from tests.containers.container import Container, ContainerFailed
from tests.containers.distros import AGENT, USER, Distro, Machine
from tests.containers.lab import Lab
from tests.fabric import ECHO
from tests.support.findings import Finding, Look, look_at

LIB = "/var/lib/waagent"
WIRE_HOST = "168.63.129.16"
READY_WITHIN_S = 90.0
SUCCESS_WITHIN_S = 60.0
KEY = "/run/key"

# What the agent makes of the system it is on. The fabric's own requests go by routes, not by it.
PROFILE = """
import json, logging
from waagent.core.system import real_system
from waagent.guest import dhcp, interfaces, services
from waagent.guest.profiles import read_profile
from waagent.guest.release import read_release
system = real_system()
release = read_release(system)
profile = read_profile(system, release)
manager = dhcp.find_network_daemon(system, interfaces.find_primary_interface(system))
print(json.dumps({
    "release": f"{release.name} {release.version}",
    "init": services.init_of(system).value,
    "manager": manager.value if manager else "nothing",
    "pids": len(dhcp.find_pids(system, profile.dhcp)),
    "leased": dhcp.find_leased_endpoint(system, profile.dhcp) or "",
    "services": [profile.agent_service, profile.ssh_service],
}))
"""

# One verb after the other on a service, and what it is like after each. It is stopped while it is
# registered anew: systemd 257 takes one that runs for inactive when its alias comes and goes.
VERBS = """
import json, sys
from waagent.core.system import real_system
from waagent.guest import services
system, name = real_system(), sys.argv[1]
seen = []
for verb in sys.argv[2:]:
    done = getattr(services, verb)(system, name)
    is_registered = services.is_registered(system, name)
    seen.append([verb, done, services.is_active(system, name), is_registered])
print(json.dumps(seen))
"""
RESTART = """
import sys
from waagent.core.system import real_system
from waagent.guest import services
sys.exit(not services.restart(real_system(), sys.argv[1]))
"""
WANTED: list[tuple[str, Optional[bool], bool, bool]] = [
    # the verb; whether it says that it worked, if that is the same everywhere; active; registered
    ("restart", True, True, True),
    ("refresh", True, True, True),
    ("stop", True, False, True),
    ("unregister", True, False, False),
    ("refresh", None, False, False),  # not to run, so it stays so
    ("register", True, False, True),
    ("start", True, True, True),
    ("start", True, True, True),
]


def tell(lab: Lab, distro: Distro) -> Iterator[Finding]:
    """A first boot, then the services."""
    with Machine(lab, distro) as machine:
        story, services = _Story(machine), _Services(machine)
        ready = ("the fabric heard Provisioning, then Ready", story.sees_ready)
        for finding in look_at((ready,), ContainerFailed):
            yield finding
            if not finding.good:
                return  # every other look would only wait in vain
        looks: tuple[Look, ...] = (
            ("init, network and services are recognised", story.sees_profile),
            ("the name is set, and recorded as published", story.sees_name),
            ("the user may use sudo with the password", story.sees_sudo),
            ("the user logs in by ssh with the key", story.sees_ssh),
            ("sshd has host keys of its own", story.sees_host_keys),
            ("the password is in no file", story.sees_no_password),
            ("the machine's document is for root only", story.sees_document),
            ("the extension ran", story.sees_extension),
            ("ssh obeys each verb", services.sees_verbs),
            ("the agent restarts as its service", services.sees_restart),
            ("-register-service stops and starts it", services.sees_register),
            ("no request broke the protocol", story.sees_protocol),
        )
        yield from look_at(looks, ContainerFailed, AssertionError)


class _Story:
    def __init__(self, machine: Machine) -> None:
        self._machine, self._distro = machine, machine.distro
        self._container = machine.container

    def sees_ready(self) -> tuple[bool, str]:
        try:
            self._machine.fabric.await_ready(READY_WITHIN_S)
        except AssertionError as e:
            log = self._container.read("/var/log/waagent.log")[-1500:]
            raise ContainerFailed(f"{e}; {log or self._container.console[-1500:]}") from e
        reports = self._machine.fabric.world.received.health
        seen = [f"{r.state}{'/' + r.sub_status if r.sub_status else ''}" for r in reports]
        return seen == ["NotReady/Provisioning", "Ready"], ", ".join(seen)

    def sees_profile(self) -> tuple[bool, str]:
        seen = _ask(self._container, PROFILE)
        kind = f"{seen['init']}, {seen['manager']}"
        good = kind == self._distro.expected and seen["pids"] > 0
        good = good and seen["services"] == [self._distro.service, self._distro.ssh]
        good = good and seen["leased"] == WIRE_HOST
        text = f"{seen['release']}: {kind} with {seen['pids']} process, lease {seen['leased']}"
        return good, f"{text}; {', '.join(seen['services'])}"

    def sees_name(self) -> tuple[bool, str]:
        wanted = self._machine.vm.identity.name
        names = [self._container.must("uname", "-n").strip()]
        names += [
            self._container.read(x).strip() for x in ("/etc/hostname", f"{LIB}/published_hostname")
        ]
        return names == [wanted] * 3, ", ".join(names)

    def sees_sudo(self) -> tuple[bool, str]:
        words = ("runuser", "-u", USER, "--", "sudo", "-S", "-k", "-p", "", "id", "-un")
        right = self._container.run(*words, given=f"{self._machine.person.password}\n")
        wrong = self._container.run(*words, given="another\n")
        rules = self._container.must("visudo", "-c", "-f", "/etc/sudoers.d/waagent").strip()
        shadow = self._container.read("/etc/shadow").splitlines()
        hashed = [x.split(":")[1][:3] for x in shadow if x.startswith(f"{USER}:")]
        good = right.output.strip() == "root" and wrong.code != 0 and hashed == ["$6$"]
        return good, f"sudo id -un: {right.said}; {rules}; {hashed[0]}..."

    def sees_ssh(self) -> tuple[bool, str]:
        store = f"umask 077 && cat >{KEY}"
        self._container.must("sh", "-c", store, given=self._machine.person.private_key)
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        words = [word for option in (*options, "BatchMode=yes") for word in ("-o", option)]
        target = f"{USER}@{self._machine.vm.identity.private_ip}"
        done = self._container.run("ssh", *words, "-i", KEY, target, "id -un; uname -n")
        effective = self._container.must("sshd", "-T").lower()
        good = done.output.split() == [USER, self._machine.vm.identity.name]
        good = good and "passwordauthentication yes" in effective
        return good, f"ssh {target}: {done.said}; sshd offers passwords, as the media asks"

    def sees_host_keys(self) -> tuple[bool, str]:
        kinds = self._distro.host_keys
        names = [f"/etc/ssh/ssh_host_{kind}_key" for kind in kinds]
        modes = self._container.must("stat", "-c", "%a %U", *names).splitlines()
        count = self._container.must("sh", "-c", "ls /etc/ssh/ssh_host_*_key | wc -l").strip()
        good = modes == ["600 root"] * len(kinds) == ["600 root"] * int(count)
        return good, f"{', '.join(kinds)}: {', '.join(modes)}"

    def sees_no_password(self) -> tuple[bool, str]:
        where = "/etc /var /home /root /run /tmp"
        # what is looked for goes by standard input: it shall be on no command line either
        secret = f"{self._machine.person.password}\n"
        found = self._container.run("sh", "-c", f"grep -rlsF -D skip -f - {where}", given=secret)
        return found.code == 1, found.said or f"none below {where}"

    def sees_document(self) -> tuple[bool, str]:
        seen = self._container.must("stat", "-c", "%a %U", f"{LIB}/ovf-env.xml").strip()
        whole = "<UserName>" in self._container.read(f"{LIB}/ovf-env.xml")
        marker = self._container.run("test", "-f", f"{LIB}/provisioned").code == 0
        return seen == "400 root" and whole and marker, f"{LIB}/ovf-env.xml: {seen}"

    def sees_extension(self) -> tuple[bool, str]:
        item = self._machine.fabric.await_extension(ECHO, seq_no=0, within_s=SUCCESS_WITHIN_S)
        return True, f"{ECHO} {item['handlerVersion']}: {item['status']}, success"

    def sees_protocol(self) -> tuple[bool, str]:
        violations = self._machine.fabric.violations
        count = len(self._machine.fabric.journal.entries())
        return not violations, "; ".join(violations) or f"{count} requests"


class _Services:
    def __init__(self, machine: Machine) -> None:
        self._machine, self._distro = machine, machine.distro
        self._container = machine.container

    def sees_verbs(self) -> tuple[bool, str]:
        verbs = [verb for verb, *_ in WANTED]
        odd = []
        for wanted, (verb, done, *after) in zip(
            WANTED, _ask(self._container, VERBS, self._distro.ssh, *verbs)
        ):
            if after != list(wanted[2:]) or wanted[1] not in (None, done):
                odd.append(f"{verb}: {done}, active and registered {after}")
        return not odd, "; ".join(odd) or ", ".join(verbs)

    def sees_restart(self) -> tuple[bool, str]:
        before = self._daemon()
        marker = self._container.must("stat", "-c", "%Y", f"{LIB}/provisioned")
        count = len(self._machine.fabric.world.received.statuses)
        done = self._container.python(RESTART, self._distro.service)
        self._container.await_that(
            "another daemon runs", lambda: self._daemon() not in ("", before), 30.0
        )
        self._machine.fabric.await_status(since=count)
        same = self._container.must("stat", "-c", "%Y", f"{LIB}/provisioned") == marker
        return done.code == 0 and same, f"{before}, then {self._daemon()}; not provisioned again"

    def sees_register(self) -> tuple[bool, str]:
        before = self._daemon()
        done = self._container.run(AGENT, "-register-service", within_s=180.0)
        self._container.await_that(
            "another daemon runs", lambda: self._daemon() not in ("", before), 30.0
        )
        said = [f"{verb} WALinuxAgent service" for verb in ("Register", "Stop", "Start")]
        good = done.code == 0 and done.output.splitlines()[-3:] == said
        return good, f"{before}, then {self._daemon()}; {done.said}"

    def _daemon(self) -> str:
        """The process id of the daemon, if one runs under its init."""
        return self._container.run("pgrep", "-f", f"{AGENT} -daemon").output.partition("\n")[0]


def _ask(container: Container, program: str, *words: str) -> Any:
    """What a program of ours prints as JSON in the container."""
    done = container.python(program, *words, within_s=180.0)
    if done.code:
        raise ContainerFailed(f"the program ended with {done.code}: {done.said}")
    return json.loads(done.output)
