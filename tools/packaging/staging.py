"""Put the agent's files where a family of distributions has them, below a root of choice.

``plan_files`` decides what goes where, from the table and the tree; ``write_files`` does it. The
rest of this module says which of them are configuration, for package tools that want to know.
"""

from __future__ import annotations

import enum
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from tools.packaging.families import Family
from tools.packaging.version import PROJECT

SLICES = ("azure.slice", "azure-vmextensions.slice")
RULES = ("66-azure-storage.rules", "99-azure-product-uuid.rules")
DOCUMENTS = (
    "README.md",
    "docs/configuration.md",
    "docs/debugging.md",
    "docs/hardening.md",
    "docs/limits.md",
    "docs/packaging.md",
    "docs/parity.md",
)
VARIABLE = re.compile("@[A-Z]+@")
# Folders with these names are searched by their Python; any other has to be named to it.
ON_PATH = ("site-packages", "dist-packages")


class Kind(enum.Enum):
    """What a package manager has to know about a file."""

    PLAIN = "plain"
    CONFIG = "configuration"
    DOCUMENT = "document"
    LICENSE = "licence"


@dataclass(frozen=True)
class Placed:
    """A file to be: its whole path, mode, content and kind."""

    path: str
    content: bytes
    mode: int = 0o644
    kind: Kind = Kind.PLAIN


@dataclass(frozen=True)
class Choice:
    """A row of the table, and what somebody wants otherwise."""

    family: Family
    python: Optional[str] = None
    python_dir: Optional[str] = None

    @property
    def row(self) -> Family:
        """The row as it is wanted."""
        return replace(
            self.family,
            python=self.python or self.family.python,
            python_dir=(self.python_dir or self.family.python_dir).rstrip("/"),
        )


def plan_files(row: Family, tree: Path = PROJECT) -> tuple[Placed, ...]:
    """Every file of the agent in a family, sorted by path."""
    placed = (*plan_modules(row, tree), *plan_data(row, tree))
    return tuple(sorted(placed, key=lambda each: each.path))


def plan_modules(row: Family, tree: Path = PROJECT) -> list[Placed]:
    """The agent's own modules; bytecode is the installed Python's business."""
    modules = sorted((tree / "waagent").rglob("*.py"))
    return [Placed(f"{row.python_dir}/{m.relative_to(tree)}", m.read_bytes()) for m in modules]


def plan_data(row: Family, tree: Path = PROJECT) -> list[Placed]:
    """Everything but modules: the command, the configuration, and what the init system reads."""
    program = render_program((tree / "bin/waagent").read_text("utf-8"), row)
    configuration = (tree / "config" / row.conf).read_bytes()
    placed = [
        Placed(row.program, program.encode(), 0o755),
        Placed(row.conf_path, configuration, kind=Kind.CONFIG),
    ]
    placed += _plan_systemd(row, tree / "init") + _plan_script(row, tree / "init")
    if row.udev_dir:
        rules = tree / "init/udev"
        placed += [Placed(f"{row.udev_dir}/{name}", (rules / name).read_bytes()) for name in RULES]
    if row.logrotate:
        policy = (tree / "init/waagent.logrotate").read_bytes()
        placed.append(Placed("/etc/logrotate.d/waagent.logrotate", policy, kind=Kind.CONFIG))
    return placed + _plan_documents(row, tree)


def _plan_systemd(row: Family, init: Path) -> list[Placed]:
    placed = []
    if row.unit_dir:
        unit = render_template((init / "waagent.service.in").read_text("utf-8"), row)
        placed.append(Placed(f"{row.unit_dir}/{row.service}.service", unit.encode()))
    if row.unit_dir and row.slices:
        placed += [Placed(f"{row.unit_dir}/{name}", (init / name).read_bytes()) for name in SLICES]
    if row.preset_dir:
        preset = (init / "90-waagent.preset").read_bytes()
        placed.append(Placed(f"{row.preset_dir}/90-waagent.preset", preset))
    return placed


def _plan_script(row: Family, init: Path) -> list[Placed]:
    script = row.init_script
    if script is None:
        return []
    text = render_template((init / script.kind.value).read_text("utf-8"), row)
    placed = [Placed(script.path, text.encode(), 0o755, Kind.CONFIG)]
    if script.switch_path:
        switch = (init / "devuan/default/walinuxagent").read_bytes()
        placed.append(Placed(script.switch_path, switch, kind=Kind.CONFIG))
    return placed


def _plan_documents(row: Family, tree: Path) -> list[Placed]:
    placed = []
    if row.man_dir:
        page = (tree / "docs/waagent.1").read_bytes()
        placed.append(Placed(f"{row.man_dir}/waagent.1", page, kind=Kind.DOCUMENT))
    if row.doc_dir:
        placed += [
            Placed(f"{row.doc_dir}/{name}", (tree / name).read_bytes(), kind=Kind.DOCUMENT)
            for name in DOCUMENTS
        ]
    if row.license_dir:
        text = (tree / "LICENSE").read_bytes()
        placed.append(Placed(f"{row.license_dir}/LICENSE", text, kind=Kind.LICENSE))
    return placed


def render_template(text: str, row: Family) -> str:
    """A template of init/ with its variables filled; one that nobody knows is refused."""
    values = {
        "PYTHON": row.python,
        "PROGRAM": row.program,
        "CONF": row.conf_path,
        "WANTS": " ".join(row.wants),
        "AFTER": " ".join(row.after),
        "SERVICE": row.service,
        "ALIAS": f"Alias={row.alias}.service" if row.alias else "",
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    unknown = VARIABLE.search(text)
    if unknown:
        raise SystemExit(f"cannot fill {unknown[0]} in a template: the table has no such value")
    return text.rstrip("\n") + "\n"


def render_program(text: str, row: Family) -> str:
    """The command, run by the family's Python, and told where the modules are if it must be."""
    lines = text.splitlines()
    lines[0] = f"#!{row.python}"
    if Path(row.python_dir).name not in ON_PATH:
        found = lines.index("import sys")
        lines[found + 1 : found + 1] = ["", f'sys.path.insert(0, "{row.python_dir}")']
    return "\n".join(lines) + "\n"


def write_files(placed: tuple[Placed, ...], root: Path) -> None:
    """Write them below a root, whatever the umask is; what is in the way is replaced."""
    for each in placed:
        path = root / each.path.lstrip("/")
        _ensure_folder(path.parent)
        path.unlink(missing_ok=True)
        path.write_bytes(each.content)
        path.chmod(each.mode)


def remove_stale_modules(row: Family, root: Path) -> None:
    """Take away the modules of an older version: one that is gone could still be imported."""
    shutil.rmtree(root / row.python_dir.lstrip("/") / "waagent", ignore_errors=True)


def _ensure_folder(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        each.chmod(0o755)
