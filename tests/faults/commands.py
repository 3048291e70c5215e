"""Every external command of a first boot, with what comes of its faults."""

from __future__ import annotations

from tests.faults.rows import CommandFault, How, Outcome, Program, goes_on, stops

NO_MEDIA = stops("five tries, 5 s apart, then it stops", "cannot mount the provisioning media")
NO_KEY = stops("the host keys are as they were", "ssh-keygen")
NO_USER = stops("no account is made", "cannot create the user account azureuser")
NO_PASSWORD = stops("an account without its password", "chpasswd")
NO_SUDO = stops("the sudoers file does not take its place", "visudo")
NO_UNMOUNT = goes_on("the media stays mounted", "Cannot unmount")
NO_EJECT = goes_on("the media stays in its drive", "Cannot eject")
NO_ANSWER = goes_on("cloud-init counts as not enabled", "cloud-init is enabled: False")
NO_ROUTE = goes_on("the fabric is tried without that route", "Cannot add the route to")
LOCAL_ONLY = goes_on("only local accounts count as existing")


def alike(outcome: Outcome) -> tuple[Outcome, Outcome, Outcome]:
    """It fails, does not end, or is not there: all the same."""
    return outcome, outcome, outcome


PROGRAMS = (
    Program("systemctl", "/usr/bin/systemctl", 60, *alike(NO_ANSWER)),
    Program("service", "/usr/sbin/service", 60, *alike(NO_ANSWER)),
    Program("ssh-keygen", "/usr/bin/ssh-keygen", 300, *alike(NO_KEY)),
    Program("mount", "/usr/bin/mount", 60, *alike(NO_MEDIA)),
    Program("umount", "/usr/bin/umount", 60, *alike(NO_UNMOUNT)),
    Program("ip", "/usr/sbin/ip", 30, *alike(NO_ROUTE), machines=()),
    Program(
        "hostnamectl",
        "",
        30,
        *alike(goes_on("the host name is written to /etc/hostname instead")),
        machines=("rhel-9.4",),
    ),
    Program("getent", "/usr/bin/getent", 30, *alike(LOCAL_ONLY)),
    Program("useradd", "/usr/sbin/useradd", 300, *alike(NO_USER)),
    Program("chpasswd", "/usr/sbin/chpasswd", 300, *alike(NO_PASSWORD)),
    Program(
        "visudo",
        "/usr/sbin/visudo",
        30,
        NO_SUDO,
        NO_SUDO,
        goes_on("the sudoers file takes its place unchecked"),
    ),
    Program(
        "sshd",
        "/usr/sbin/sshd",
        30,
        goes_on("it finds fault with the old settings too, so the new ones take their place"),
        stops("sshd_config is as it was", "cannot configure sshd"),
        goes_on("sshd_config takes its place unchecked"),
    ),
    Program("eject", "/usr/bin/eject", 60, *alike(NO_EJECT)),
    Program(
        "sh",
        "/usr/bin/sh",
        3600,
        *alike(goes_on("custom data counts as run, and an event says how", "The custom data")),
        is_ours=False,
    ),
)


def command_faults() -> tuple[CommandFault, ...]:
    """Every row."""
    return tuple(CommandFault(program, how) for program in PROGRAMS for how in How)
