"""What a first boot must have done for the person who made the machine."""

from __future__ import annotations

from tests.vm.lab import Booted

SUDOERS = "/etc/sudoers.d/waagent"


def see_user(on: Booted) -> tuple[bool, str]:
    """An ordinary account with a home and a shell of its own, in its own group only."""
    name = on.lab.person.name
    entry = on.machine.must("getent", "passwd", name).strip()
    groups = on.machine.must("id", "-nG", name).strip()
    home = on.machine.must("stat", "-c", "%a %U:%G", f"/home/{name}").strip()
    _, _, uid, _, _, folder, shell = entry.split(":")
    usual = on.machine.must("useradd", "-D")
    good = int(uid) >= 1000 and folder == f"/home/{name}" and f"SHELL={shell}\n" in usual
    good = good and groups == name and home in (f"755 {name}:{name}", f"700 {name}:{name}")
    return good, f"{entry}; groups {groups}; home {home}"


def see_key(on: Booted) -> tuple[bool, str]:
    """The key is the user's alone, and it is the only one."""
    folder = f"/home/{on.lab.person.name}/.ssh"
    modes = on.machine.must("stat", "-c", "%a %U", folder, f"{folder}/authorized_keys").split("\n")
    keys = on.machine.read(f"{folder}/authorized_keys").splitlines()
    good = modes[:2] == [f"700 {on.lab.person.name}", f"600 {on.lab.person.name}"]
    return good and keys == [on.lab.person.public_key], f"{', '.join(modes[:2])}; {len(keys)} key"


def see_ssh(on: Booted) -> tuple[bool, str]:
    """The user logs in from Azure's network with the key; a stranger's key opens nothing."""
    key = ("-i", str(on.lab.person.private_key))
    done = on.machine.ssh(on.lab.person.name, "id -un; uname -n", *key)
    stranger = on.machine.ssh(on.lab.person.name, "id -un", "-o", "PubkeyAuthentication=no")
    root = on.machine.ssh("root", "id -un", *key)
    good = done.output.split() == [on.lab.person.name, on.lab.media_hostname]
    good = good and "denied" in stranger.errors and "denied" in root.errors
    return good, f"{done.said}; without the key: {stranger.said}; root: {root.said}"


def see_sudo(on: Booted) -> tuple[bool, str]:
    """sudo asks the user for the password, takes it, and takes no other."""
    name, secret = on.lab.person.name, on.lab.person.password
    words = ("runuser", "-u", name, "--", "sudo", "-S", "-k", "-p", "", "id", "-un")
    right = on.machine.run(*words, given=f"{secret}\n".encode())
    wrong = on.machine.run(*words, given=b"another\n")
    rules = on.machine.must("visudo", "-c", "-f", SUDOERS).strip()
    mode = on.machine.must("stat", "-c", "%a %U:%G", SUDOERS).strip()
    lines = on.machine.read(SUDOERS).splitlines()
    good = right.output.strip() == "root" and wrong.code != 0 and mode == "440 root:root"
    good = good and lines == [f"{name} ALL=(ALL) ALL"]
    return good, f"sudo id -un: {right.said}; {rules}; {mode}"


def see_password(on: Booted) -> tuple[bool, str]:
    """The password is kept as SHA-512, and root has none."""
    shadow = on.machine.read("/etc/shadow").splitlines()
    fields = {line.split(":")[0]: line.split(":")[1] for line in shadow}
    own, root = fields[on.lab.person.name], fields["root"]
    good = own.startswith("$6$") and root in ("*LOCK*", "*", "!", "!*")
    offered = on.machine.must("sshd", "-T").lower()
    good = good and "passwordauthentication yes" in offered
    return good, f"{on.lab.person.name} {own[:3]}..., root {root}; sshd offers it as the media asks"
