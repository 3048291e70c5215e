"""A disk that is full or read-only, at the start or in the middle of a first boot."""

from __future__ import annotations

from tests.faults.rows import DiskFault, Outcome, goes_on, stops

LIB = "/var/lib/waagent"
FULL = "No space left on device"
READ_ONLY = "Read-only file system"
SMALL_LIB = f"mkdir -p {LIB}; mount -t tmpfs -o size=4m,mode=0700 lib {LIB}"
OWN_ETC = (
    "mkdir -p /run/etc; mount -t tmpfs -o size=32m,mode=0755 etc /run/etc;"
    " cp -a /etc/. /run/etc; mount --bind /run/etc /etc"
)


def fill(folder: str) -> str:
    """Shell that leaves no room on the file system of a folder."""
    return f"cat /dev/zero >{folder}/filler 2>/dev/null; true"


def empty(folder: str) -> str:
    """Shell that makes room again."""
    return f"rm {folder}/filler"


def full_lib(when: str, outcome: Outcome) -> DiskFault:
    """The lib dir is full from that command on."""
    name = f"the lib dir is full when {when} runs"
    return DiskFault(name, fill(LIB), empty(LIB), outcome, when, SMALL_LIB)


def full_etc(when: str, outcome: Outcome) -> DiskFault:
    """/etc is full from that command on."""
    name = f"/etc is full when {when} runs"
    return DiskFault(name, fill("/etc"), empty("/etc"), outcome, when, OWN_ETC)


DISKS = (
    DiskFault(
        "the lib dir is full from the start",
        f"{SMALL_LIB}; {fill(LIB)}",
        empty(LIB),
        stops("nothing can be saved, so nothing is done", FULL),
    ),
    DiskFault(
        "the lib dir is read-only",
        f"mkdir -p {LIB}; mount --bind {LIB} {LIB}; mount -o remount,ro,bind {LIB}",
        f"umount -l {LIB}",
        stops("nothing can be saved, so nothing is done", READ_ONLY),
    ),
    full_lib("useradd", stops("the account is made, then it stops", f"{FULL}: '{LIB}/")),
    full_lib("eject", stops("the account is ready, custom data is not saved", f"{FULL}: '{LIB}/")),
    DiskFault(
        "/etc is full from the start",
        f"{OWN_ETC}; {fill('/etc')}",
        empty("/etc"),
        stops("nothing of /etc changes", FULL),
    ),
    DiskFault(
        "/etc is read-only",
        "mount --bind /etc /etc; mount -o remount,ro,bind /etc",
        "umount -l /etc",
        stops("nothing of /etc changes", READ_ONLY),
    ),
    full_etc("useradd", stops("no account is made", "useradd")),
    full_etc("chpasswd", stops("an account without its password", "chpasswd")),
    full_etc("eject", stops("the account is ready, root keeps its password", FULL)),
    DiskFault(
        "/home is full",
        f"mount -t tmpfs -o size=64k,mode=0755 home /home; {fill('/home')}",
        empty("/home"),
        stops("no key is put in its place", FULL),
    ),
    DiskFault(
        "/var/log is full",
        "mkdir -p /run/logs; cp -a /var/log/. /run/logs;"
        f" mount -t tmpfs -o size=64k logs /var/log; {fill('/var/log')}",
        empty("/var/log"),
        goes_on("the log goes to the journal alone"),
    ),
    DiskFault(
        "/var/log is read-only",
        "mount --bind /var/log /var/log; mount -o remount,ro,bind /var/log",
        "umount -l /var/log",
        goes_on("the log goes to the journal alone"),
    ),
)
