"""Files of a machine as the recordings list them: mode, owner, path and where a link leads."""

from __future__ import annotations

import re

from tests.demo.guest import Guest
from tests.fabric.golden import ABSENT

ROOTS = (
    "/etc/sudoers.d", "/etc/waagent.conf", "/home/azureuser", "/run/waagent.pid",
    "/var/lib/waagent", "/var/log/azure", "/var/log/waagent.log",
)  # fmt: skip
# Of the distribution, or of the package of the emulator's extension.
FOREIGN = re.compile(r"/etc/sudoers\.d/(?!waagent)|/version\.txt$|^/etc/ssh/|^/home$")
VARYING = (
    (re.compile(r"\b[0-9A-F]{40}\b"), "{THUMBPRINT}"),
    (re.compile(r"/events/(\{MICROSECONDS\}|\d+)\."), "/events/{N}."),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d"), "{DATE}"),
)
_LINE = re.compile(r"(?P<mode>\S+) (?P<owner>\S+) \d+ (?P<path>\S+) ?(?P<link>.*)")


def list_files(guest: Guest) -> str:
    """The listing of everything that the agent has to do with, in the recordings' form."""
    return guest.run("find", *ROOTS, "-printf", "%M %u:%g %s %p %l\n").output


def read_listing(text: str) -> dict[str, str]:
    """Path to mode, owner and link; sizes, dates and numbers that vary are left out."""
    found: dict[str, set[str]] = {}
    for line in text.replace("Oracle", "Fabric").splitlines():
        one = _LINE.fullmatch(line)
        if one is None or not one["path"].startswith(ROOTS) or FOREIGN.search(one["path"]):
            continue  # find(1) names on the same stream what there is not
        path = one["path"]
        for pattern, placeholder in VARYING:
            path = pattern.sub(placeholder, path)
        facts = " ".join(filter(None, (one["mode"], one["owner"], one["link"])))
        found.setdefault(path, set()).add(facts)
    return {path: "; ".join(sorted(facts)) for path, facts in found.items()}


def compare(recording: str, theirs: str, ours: str) -> list[tuple[str, ...]]:
    """Every path that is not the same on both sides, below the folders that were listed then."""
    left, right = read_listing(theirs), read_listing(ours)
    assert left, f"{recording} lists nothing"
    looked = tuple(root for root in ROOTS if any(path.startswith(root) for path in left))
    right = {path: facts for path, facts in right.items() if path.startswith(looked)}
    if recording == "files-multi":  # it lists this handler's files alone
        right = {path: facts for path, facts in right.items() if "Fabric.Test.Multi" in path}
    found: list[tuple[str, ...]] = []
    for path in sorted(left.keys() | right.keys()):
        a, b = left.get(path, ABSENT), right.get(path, ABSENT)
        is_spooled = "/events/{N}." in path  # it may be empty at this moment
        if a != b and not (is_spooled and ABSENT in (a, b)):
            found.append((recording, path, a, b))
    return found


def as_listing(names: str) -> str:
    """Mere names of the agent's folder in the form of a listing."""
    return "\n".join(f"(there) - 0 /var/lib/waagent/{name} " for name in names.split())
