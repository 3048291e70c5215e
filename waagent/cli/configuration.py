"""Every text that is made from the declared options: the listing, the files, the manual's tables.

Pure, but for ``main``, which writes the files of this source tree anew:
``python3 -m waagent.cli.configuration --write <folder of the source tree>``.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from waagent.core.conf import GROUPS, IGNORED_KEYS, OPTIONS, Conf
from waagent.core.errors import DocumentError
from waagent.core.options import DISTROS, Group, Kind, Limits, Option, Value, show_value

MANUAL = "docs/configuration.md"
BEGIN = "<!-- begin: written by waagent.cli.configuration -->"
END = "<!-- end: written by waagent.cli.configuration -->"
_WIDTH = 88
_LARGEST_SHOWN = 10**6

_PREAMBLE = """\
waagent.conf: configuration of the Azure Linux agent.

One Key=Value a line. Switches are y or n. None stands for "not set": the agent's own
default applies. A # begins a comment, also behind a value. The agent reads this file
once, when it starts: restart its service after a change. It logs a warning for every
line that it cannot use. `waagent -show-configuration` shows what is in effect, and
docs/configuration.md explains every key, also those that are not in this file.
"""


def show_configuration(conf: Conf) -> str:
    """Render the effective configuration, ``key = value`` a line, sorted (spec CLI 1.5)."""
    listed = [each for each in OPTIONS if each.option.listed]
    lines = [f"{each.option.key} = {_listed(each.option, conf.value(each))}\n" for each in listed]
    return "".join(sorted(lines, key=lambda line: line.partition(" = ")[0]))


def render_conf(distro: Optional[str] = None) -> str:
    """Render the file that is shipped to ``distro``, or the generic one."""
    parts = [_comment(paragraph) for paragraph in _PREAMBLE.split("\n\n")]
    text = "#\n".join(parts)
    for group in GROUPS:
        entries = [
            f"\n{_comment(each.option.meaning)}{line}\n"
            for each in group.options
            if (line := _assignment(each.option, distro)) is not None
        ]
        if entries:
            text += f"\n\n# ---- {group.heading} ----\n" + "".join(entries)
    return text


def render_tables() -> str:
    """Render the manual's tables: every key, what distributions change, what is ignored."""
    parts = [_table_of(group) for group in GROUPS]
    parts.append(_distro_table())
    parts.append(_ignored_table())
    return "\n".join(parts)


def render_manual(page: str) -> str:
    """Put the tables of today between the page's two markers; the rest of it stays."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DocumentError(f"cannot renew {MANUAL}: it needs the lines '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n\n{render_tables()}\n{END}{after}"


def render_files(page: str) -> Mapping[str, str]:
    """Render every file of the source tree that comes from the options; ``page`` is the manual."""
    files = {"config/waagent.conf": render_conf()}
    files.update({f"config/{name}/waagent.conf": render_conf(name) for name in DISTROS})
    files[MANUAL] = render_manual(page)
    return files


def main(arguments: Sequence[str]) -> int:
    """Write the files anew below the folder given; 2 when the arguments are something else."""
    if len(arguments) != 2 or arguments[0] != "--write":
        sys.stderr.write("usage: python3 -m waagent.cli.configuration --write <source tree>\n")
        return 2
    root = Path(arguments[1])
    page = (root / MANUAL).read_text("utf-8")
    for name, content in render_files(page).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return 0


def _listed(option: Option, value: Value) -> str:
    if option.kind is Kind.SWITCH:
        return str(bool(value))
    return str(value)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _assignment(option: Option, distro: Optional[str]) -> Optional[str]:
    shipped = option.shipped_in(distro)
    if shipped is None:
        return None
    if shipped.startswith("#"):
        return f"# {option.key}={shipped[1:]}"
    return f"{option.key}={shipped}"


def _table_of(group: Group) -> str:
    rows = [
        (
            f"`{each.option.key}`",
            _values_of(each.option),
            _default_of(each.option),
            _shipped_of(each.option.shipped),
            each.option.meaning,
        )
        for each in group.options
    ]
    head = ("Key", "Values", "Default", "Shipped", "Meaning")
    return f"### {group.heading}\n\n{_table(head, rows)}"


def _distro_table() -> str:
    rows = []
    for each in OPTIONS:
        option = each.option
        differing: dict[Optional[str], list[str]] = {}
        for name in DISTROS:
            shipped = option.shipped_in(name)
            if shipped != option.shipped:
                differing.setdefault(shipped, []).append(name)
        told = "; ".join(
            f"{_shipped_of(value)}: {_every(names)}" for value, names in differing.items()
        )
        if told:
            rows.append((f"`{option.key}`", _shipped_of(option.shipped), told))
    table = _table(("Key", "Generic file", "Differing files"), rows)
    return f"### What distributions change\n\n{table}"


def _ignored_table() -> str:
    rows = [(f"`{key}`", why) for key, why in IGNORED_KEYS.items()]
    return f"### Keys that are ignored without a warning\n\n{_table(('Key', 'Why'), rows)}"


def _every(names: Sequence[str]) -> str:
    return "all" if len(names) == len(DISTROS) else ", ".join(names)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _values_of(option: Option) -> str:
    limits = option.limits
    if option.kind is Kind.TEXT and limits.choices:
        return ", ".join(f"`{choice}`" for choice in limits.choices)
    if option.kind is Kind.TEXT and limits.pattern:
        return f"text like `{limits.pattern}`"
    if option.kind in (Kind.NUMBER, Kind.SECONDS):
        return f"{option.kind.value}, {_range_of(limits)}"
    return option.kind.value


def _range_of(limits: Limits) -> str:
    if limits.most > _LARGEST_SHOWN:
        return f"at least {limits.least}"
    return f"{limits.least} to {limits.most}"


def _default_of(option: Option) -> str:
    if option.follows:
        return f"the value of `{option.follows}`"
    return "not set" if option.default is None else f"`{show_value(option.default)}`"


def _shipped_of(shipped: Optional[str]) -> str:
    if shipped is None:
        return "-"
    if shipped.startswith("#"):
        return f"`{shipped[1:]}`, commented out"
    return f"`{shipped}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
