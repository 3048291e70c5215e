"""The %files list of an RPM, from the files that were staged."""

from __future__ import annotations

from tools.packaging.families import Family
from tools.packaging.staging import Kind, Placed

PREFIXES = {
    Kind.PLAIN: "",
    Kind.CONFIG: "%config(noreplace) ",
    Kind.DOCUMENT: "%doc ",
    Kind.LICENSE: "%license ",
}
MAN_PAGES = "/usr/share/man/"


def render_rpm_files(row: Family, placed: tuple[Placed, ...]) -> str:
    """One line a file, and one for each folder that is the agent's alone."""
    lines = ["%defattr(-,root,root,-)"]
    lines += [f"%dir {folder}" for folder in own_folders(row, placed)]
    for each in placed:
        # rpmbuild compresses manual pages, in whichever way the builder's rpm is set to.
        end = "*" if each.path.startswith(MAN_PAGES) else ""
        lines.append(f"%attr({each.mode:04o},root,root) {PREFIXES[each.kind]}{each.path}{end}")
    return "\n".join(lines) + "\n"


def own_folders(row: Family, placed: tuple[Placed, ...]) -> list[str]:
    """The folders that nobody else would remove."""
    package = f"{row.python_dir}/waagent"
    folders = {each.path.rpartition("/")[0] for each in placed}
    own = {folder for folder in folders if f"{folder}/".startswith(f"{package}/")}
    if row.python_dir.endswith("/waagent"):
        own.add(row.python_dir)
    own |= {folder for folder in (row.doc_dir, row.license_dir) if folder}
    if row.doc_dir:
        own.add(f"{row.doc_dir}/docs")
    return sorted(own)
