"""`make install`: the agent's files in a folder, or on this machine."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.packaging.families import DEFAULT, FAMILIES, Family, family_of
from tools.packaging.rpm_files import render_rpm_files
from tools.packaging.service import register_service
from tools.packaging.staging import (
    Choice,
    plan_data,
    plan_files,
    remove_stale_modules,
    write_files,
)

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


def parse_os_release(text: str) -> tuple[str, ...]:
    """The distribution's own name, and those that it says it is like."""
    words: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip() in ("ID", "ID_LIKE"):
            words[key.strip()] = " ".join(shlex.split(value)).lower().split()
    return (*words.get("ID", ["linux"]), *words.get("ID_LIKE", []))


def family_of_release(text: str) -> Family:
    """The family of the distribution that an os-release text names, or of one that it is like."""
    return family_of_names(parse_os_release(text))


def family_of_names(names: Sequence[str]) -> Family:
    """The first row that one of the names has; the default row if none has."""
    known = (family_of(name) for name in names)
    return next((family for family in known if family is not DEFAULT), DEFAULT)


def read_own_family() -> Family:
    """The family of the machine that runs this."""
    for name in OS_RELEASE:
        if Path(name).is_file():
            return family_of_release(Path(name).read_text("utf-8"))
    return DEFAULT


def find_family(word: str) -> Family:
    """The family that somebody asked for; a word that no row has is refused."""
    if not word:
        return read_own_family()
    known = {name for family in FAMILIES for name in (family.name, *family.names)}
    if word not in known:
        rows = ", ".join(family.name for family in FAMILIES)
        raise SystemExit(f'cannot install for "{word}": FAMILY is one of {rows}')
    return family_of(word)


def install_data(
    word: str, *, root: Path, module_dir: str, skip: bool = False, register: bool = False
) -> None:
    """What setup.py installs beside the modules, for the Python that runs it."""
    family = find_family(word)
    if not skip:
        row = Choice(family, sys.executable, module_dir).row
        write_files(tuple(plan_data(row)), root)
    if register and root == Path("/"):
        register_service(family)


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """What the Makefile passes on; an empty word means that nobody said anything."""
    parser = argparse.ArgumentParser(prog="make install", description=__doc__)
    parser.add_argument("--destdir", default="", help="the root of the tree; / if it is empty")
    parser.add_argument("--family", default="", help="a row of tools/packaging/families.py")
    parser.add_argument("--interpreter", default="", help="the Python that shall run the agent")
    parser.add_argument("--python-dir", default="", help="the folder for the modules")
    parser.add_argument("--rpm-files", default="", help="write a %%files list for rpmbuild there")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Write the files; says how many and for whom."""
    wanted = read_arguments(words)
    family = find_family(wanted.family)
    row = Choice(family, wanted.interpreter or None, wanted.python_dir or None).row
    root = Path(wanted.destdir or "/")
    placed = plan_files(row)
    remove_stale_modules(row, root)
    write_files(placed, root)
    if wanted.rpm_files:
        Path(wanted.rpm_files).write_text(render_rpm_files(row, placed), "utf-8")
    print(f"{len(placed)} files for {row.name}, in {root}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
