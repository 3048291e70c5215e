"""`make rpm FAMILY=...`: a package for a family that uses RPM, in dist/, with any rpmbuild."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.apt import ensure_programs
from tools.packaging.build import copy_tree, keep, read_epoch, run
from tools.packaging.families import AZURELINUX, FEDORA, REDHAT, SLES, SUSE, Family
from tools.packaging.staging import Choice
from tools.packaging.version import PROJECT, read_version

NEEDED = {"rpmbuild": "rpm", "make": "make"}
FAMILIES = {family.name: family for family in (REDHAT, FEDORA, SUSE, SLES, AZURELINUX)}
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def name_python(row: Family) -> str:
    """What the distribution's packages for that interpreter begin with."""
    found = re.fullmatch(r"/usr/bin/python3(?:\.(\d+))?", row.python)
    if found is None:
        raise SystemExit(
            f"cannot name the packages for {row.python}: use one of /usr/bin, as python3.12"
        )
    if found[1] is None:
        return "python3"
    return f"python3{found[1]}" if row.name in (SUSE.name, SLES.name) else f"python3.{found[1]}"


def assemble(top: Path, version: str) -> None:
    """The folder that rpmbuild works in, with the sources as an archive."""
    shutil.rmtree(top, ignore_errors=True)
    tree = top / f"waagent-{version}"
    copy_tree(tree)
    (top / "SOURCES").mkdir()
    with tarfile.open(top / f"SOURCES/{tree.name}.tar.gz", "w:gz") as archive:
        archive.add(tree, tree.name)


def build(row: Family, top: Path) -> Path:
    """Build the package in a folder; says where it is."""
    version = read_version()
    assemble(top, version)
    defined = {
        "_topdir": str(top),
        "family": row.name,
        "agent_version": version,
        "agent_python": row.python,
        "python_dir": row.python_dir,
        "python_prefix": name_python(row),
        "_buildhost": "localhost",
    }
    words = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
    # --nodeps: build requirements would be looked for among RPMs, which Debian has none of.
    spec = str(top / f"waagent-{version}/tools/packaging/rpm/waagent.spec")
    variables = {"SOURCE_DATE_EPOCH": str(read_epoch()), "PATH": SYSTEM_PATH}
    run(("rpmbuild", "-bb", "--nodeps", *words, spec), top, variables)
    return top / f"RPMS/noarch/waagent-{version}-1.noarch.rpm"


def main(words: Sequence[str]) -> int:
    """Build for the named family."""
    parser = argparse.ArgumentParser(prog="make rpm", description=__doc__)
    parser.add_argument("--family", default="", help=f"one of {', '.join(FAMILIES)}")
    parser.add_argument("--interpreter", default="", help="the Python that shall run the agent")
    wanted = parser.parse_args(words)
    family = FAMILIES.get(wanted.family or REDHAT.name)
    if family is None:
        known = ", ".join(FAMILIES)
        raise SystemExit(f'cannot build an RPM for "{wanted.family}": FAMILY is one of {known}')
    ensure_programs(NEEDED, "build an RPM")
    row = Choice(family, wanted.interpreter or None).row
    package = keep(build(row, PROJECT / "build/rpm"), row.name)
    print(f"Built {package.relative_to(PROJECT)} for {family.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
