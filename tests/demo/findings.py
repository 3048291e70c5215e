"""What a first boot must have done, read from the guest's disk and the fabric's journal.

Never from the agent's own log: that is what it says, not what it did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Optional

from tests.demo.guest import DAEMON_OUTPUT, Guest
from tests.fabric import ECHO
from tests.fabric.emulator import handler_items
from tests.fabric.media import OvfMedia
from tests.support.findings import Finding, Look, look_at

LIB = "/var/lib/waagent"
SECRET = "/run/secret"
PROTECTED = "fabric secret"


def find_out(guest: Guest, private_key: str) -> Iterator[Finding]:
    """Look at everything; one that cannot be looked at is not good."""
    looks: tuple[Look, ...] = (
        ("the name is set", lambda: _hostname(guest)),
        ("the user may use sudo with the password", lambda: _password(guest)),
        ("the user may log in with the key", lambda: _ssh(guest, private_key)),
        ("the key belongs to the user alone", lambda: _key_file(guest)),
        ("the password is nowhere on the disk", lambda: _password_gone(guest)),
        ("the document is kept for root only", lambda: _document(guest)),
        ("custom data is kept", lambda: _custom_data(guest)),
        ("the machine's id is noted", lambda: _vm_id(guest)),
        ("DHCP option 245 named the wire server", lambda: _endpoint(guest)),
        ("the fabric heard Provisioning, then Ready", lambda: _health(guest)),
        ("the extension ran with its secret", lambda: _extension(guest)),
        ("an init is above, and two processes run", lambda: _processes(guest)),
        ("no request broke the protocol", lambda: _protocol(guest)),
    )
    return look_at(looks)


def prepare(guest: Guest) -> None:
    """Put what the looks need into the guest, where no disk keeps it."""
    path = guest.path(SECRET)
    path.touch(0o600)
    path.write_text(f"{guest.media.password}\n", encoding="utf-8")


def _user(media: OvfMedia) -> str:
    return str(media.user)


def _hostname(guest: Guest) -> tuple[bool, str]:
    wanted = guest.media.hostname
    names = [guest.run("uname", "-n").output.strip(), guest.read("/etc/hostname").strip()]
    names.append(guest.read(f"{LIB}/published_hostname"))
    return all(name == wanted for name in names), f"kernel, file, published: {', '.join(names)}"


def _password(guest: Guest) -> tuple[bool, str]:
    command = f"exec runuser -u {_user(guest.media)} -- sudo -S -k -p '' id -un < {SECRET}"
    done = guest.run("sh", "-c", command)
    return done.output.strip().endswith("root"), f"sudo id -un: {done.output}"


def _ssh(guest: Guest, private_key: str) -> tuple[bool, str]:
    if not guest.exists("/usr/sbin/sshd"):
        return True, "not tried: this machine has no sshd"
    key = guest.path("/run/key")
    key.touch(0o600)
    key.write_text(private_key, encoding="utf-8")
    server = _start_sshd(guest)
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "PasswordAuthentication=no", "-o", "LogLevel=ERROR"]
    options += ["-o", "ConnectionAttempts=10", "-i", "/run/key"]
    target = f"{_user(guest.media)}@{guest.vm.identity.private_ip}"
    done = guest.run("ssh", *options, target, "id -un")
    if server is not None:
        guest.kill(server, 15)
        guest.await_exit(server)
    return done.output.strip() == guest.media.user, f"ssh {target} id -un: {done.output}"


def _start_sshd(guest: Guest) -> Optional[int]:
    """Start one, unless the agent found that the machine's own was to run."""
    if any(line.startswith("sshd:") for _, line in guest.processes.values()):
        return None
    guest.path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return guest.start("/usr/sbin/sshd", "-D", "-e", output="/run/sshd.output")


def _key_file(guest: Guest) -> tuple[bool, str]:
    name = f"/home/{guest.media.user}/.ssh/authorized_keys"
    seen = guest.run("stat", "-c", "%a %U", name).output.strip()
    return seen == f"600 {guest.media.user}", f"{name}: {seen}"


def _password_gone(guest: Guest) -> tuple[bool, str]:
    password = str(guest.media.password).encode()
    written = [p for p in guest.written.rglob("*") if p.is_file() and not p.is_symlink()]
    logs = [guest.path(name) for name in ("/dev/console", DAEMON_OUTPUT)]
    found = [p.name for p in (*written, *logs) if password in p.read_bytes()]
    return not found, " ".join(found) or f"read all of {len(written)} written files and the console"


def _document(guest: Guest) -> tuple[bool, str]:
    mode = guest.mode(f"{LIB}/ovf-env.xml")
    whole = "<UserName>" in guest.read(f"{LIB}/ovf-env.xml")
    return mode == 0o400 and whole, f"{LIB}/ovf-env.xml: {mode:o}"


def _custom_data(guest: Guest) -> tuple[bool, str]:
    seen = guest.path(f"{LIB}/CustomData").read_bytes()
    return len(seen) > 0, f"{LIB}/CustomData: {len(seen)} bytes"


def _vm_id(guest: Guest) -> tuple[bool, str]:
    seen = guest.read(f"{LIB}/provisioned")
    return seen.lower() == guest.vm.identity.vm_id, f"{LIB}/provisioned: {seen}"


def _endpoint(guest: Guest) -> tuple[bool, str]:
    seen = guest.read(f"{LIB}/WireServerEndpoint")
    own = [e for e in guest.fabric.journal.entries("dhcp") if len(e.body) < 300]
    discovers = [e for e in own if e.method == "DISCOVER" and b"\xf5\x04" in e.answer_body]
    text = f"{seen}; the agent's own requests: {len(discovers)}"
    return seen == "168.63.129.16" and len(discovers) == 1, text


def _health(guest: Guest) -> tuple[bool, str]:
    reports = guest.fabric.world.received.health
    seen = [f"{r.state}{'/' + r.sub_status if r.sub_status else ''}" for r in reports]
    return seen == ["NotReady/Provisioning", "Ready"], ", ".join(seen)


def _extension(guest: Guest) -> tuple[bool, str]:
    item = handler_items(guest.fabric.world.received.statuses[-1], ECHO)[0]
    status = item["runtimeSettingsStatus"]["settingsStatus"]["status"]
    digest = hashlib.sha256(PROTECTED.encode()).hexdigest()
    good = status["status"] == "success" and digest in status["formattedMessage"]["message"]
    return good, f"{ECHO} {item['handlerVersion']}: {item['status']}, {status['status']}"


def _processes(guest: Guest) -> tuple[bool, str]:
    agents = {p: above for p, (above, line) in guest.processes.items() if "/waagent -" in line}
    kib = 0
    for pid in agents:
        rollup = guest.path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        kib += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
    parents = sorted(agents.values())
    good = len(agents) == 2 and parents[0] == 1 and parents[1] in agents
    return good, f"daemon and child, {kib / 1024:.1f} MiB together"


def _protocol(guest: Guest) -> tuple[bool, str]:
    count = len(guest.fabric.journal.entries())
    return not guest.fabric.violations, "; ".join(guest.fabric.violations) or f"{count} requests"
