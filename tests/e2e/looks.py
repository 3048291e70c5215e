"""What the recordings looked at inside the machine, looked at in ours."""

from __future__ import annotations

import re

from tests.demo.guest import Guest
from tests.e2e.facts import AUTHORIZED, USER

RULES = "iptables -w -t security -S OUTPUT"
SSHD = ("PasswordAuthentication", "ChallengeResponseAuthentication", "ClientAliveInterval")


def look_at(guest: Guest) -> dict[str, str]:
    """The facts of a machine that was just set up, under the recordings' names."""
    folder = AUTHORIZED.rpartition("/")[0]
    return {
        "authorized_keys": _modes(guest.run("stat", "-c", "%a %U:%G", folder, AUTHORIZED).output),
        "password_scheme": _scheme(guest.read("/etc/shadow"), USER),
        "root_shadow": _hash(guest.read("/etc/shadow"), "root"),
        "sudoers": guest.read("/etc/sudoers.d/waagent").strip(),
        "sshd_config": sshd_lines(guest.read("/etc/ssh/sshd_config")),
        "firewall": _rules(guest.run("sh", "-c", RULES).output),
    }


def look_at_user(guest: Guest, name: str) -> dict[str, str]:
    """An account that was lent: its line, when it expires and what it may."""
    expiry = re.search(r"Account expires\s*: (.*)", guest.run("chage", "-l", name).output)
    return {
        "passwd": guest.run("getent", "passwd", name).output.strip(),
        "expires": expiry.group(1) if expiry else "",
        "sudoers": guest.read("/etc/sudoers.d/waagent").strip().replace("\n", "; "),
    }


def recorded_look(facts: dict[str, str]) -> dict[str, str]:
    """The same facts of a recording."""
    return {
        "authorized_keys": _modes(facts["authorized_keys"]),
        "password_scheme": facts["password_scheme"],
        "root_shadow": facts["root_shadow"],
        "sudoers": facts["sudoers"],
        "sshd_config": sshd_lines(facts["sshd_config"]),
        "firewall": _rules(facts["firewall"]),
    }


def sshd_lines(text: str) -> str:
    """What the agent says to sshd; everything else in the file is the distribution's."""
    return "; ".join(sorted(line for line in text.splitlines() if line.startswith(SSHD)))


def _rules(text: str) -> str:
    """The rules for the wire server, of what a command printed that may not even be there."""
    found = [line.strip() for line in text.splitlines() if line.startswith("-A OUTPUT")]
    return "; ".join(found) if found else "(none)"


def _modes(text: str) -> str:
    """Modes and owners, or that there is no such file."""
    found = re.findall(r"^\d+ \S+$", text, re.MULTILINE)
    return "; ".join(found) if found else "(none)"


def _hash(shadow: str, user: str) -> str:
    return next(line.split(":")[1] for line in shadow.splitlines() if line.startswith(f"{user}:"))


def _scheme(shadow: str, user: str) -> str:
    return _hash(shadow, user)[:3]
