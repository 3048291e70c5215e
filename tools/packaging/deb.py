"""`make deb`: the Debian package, in dist/. FAMILY=ubuntu makes Ubuntu's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.apt import ensure_programs
from tools.packaging.build import copy_tree, keep, read_epoch, run
from tools.packaging.families import DEBIAN, UBUNTU
from tools.packaging.version import PROJECT, read_version

NEEDED = {
    "dh": "debhelper",
    "dh_python3": "dh-python",
    "dpkg-buildpackage": "dpkg-dev",
    "make": "make",
}
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


# The distribution's part of the version, so that one package is not taken for the other.
REVISIONS = {DEBIAN.name: "1", UBUNTU.name: "1ubuntu1"}


def assemble(top: Path, full_version: str, epoch: int) -> Path:
    """The tree that dpkg-buildpackage works in."""
    tree = top / f"waagent-{full_version}"
    copy_tree(tree)
    shutil.copytree(tree / "tools/packaging/debian", tree / "debian")
    template = (tree / "debian/changelog.in").read_text("utf-8")
    date = formatdate(epoch, localtime=False)
    text = template.replace("@VERSION@", full_version).replace("@DATE@", date)
    (tree / "debian/changelog").write_text(text, "utf-8")
    (tree / "debian/changelog.in").unlink()
    return tree


def build(family: str, top: Path) -> Path:
    """Build the package in a folder; says where it is."""
    version, epoch = f"{read_version()}-{REVISIONS[family]}", read_epoch()
    tree = assemble(top, version, epoch)
    # No packages are downloaded: ensure_programs has looked for what the build runs, and nothing
    # is compiled, so that Debian's compilers (-d: no look for build-essential) are not needed.
    variables = {"FAMILY": family, "SOURCE_DATE_EPOCH": str(epoch), "PATH": SYSTEM_PATH}
    run(("dpkg-buildpackage", "-b", "-us", "-uc", "-d"), tree, variables)
    return top / f"waagent_{version}_all.deb"


def main(words: Sequence[str]) -> int:
    """Build for the named family, Debian if none is."""
    family = words[0] if words and words[0] else DEBIAN.name
    if family not in REVISIONS:
        raise SystemExit(f'cannot build a Debian package for "{family}": it is debian or ubuntu')
    ensure_programs(NEEDED, "build a Debian package")
    package = keep(build(family, PROJECT / "build/deb"), "")
    print(f"Built {package.relative_to(PROJECT)} for {family}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
