"""Rules of the design that no linter knows."""

from __future__ import annotations

import ast
import re
from collections import Counter

from tests.architecture.source import Source, everything, sources

BANNED_MODULES = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager"}
BANNED_MODULES |= {"factory", "interface"}
BANNED_CLASSES = re.compile(r".*(Util|Utils|Helper|Manager|Factory|Base)$")

# Where everything may be caught, and why (architecture 4.8).
BROAD_EXCEPT = {
    "waagent/core/workers.py": "a thread outlives a failing periodic",
    "waagent/core/events.py": "an operation tells of a failure and passes it on",
    "waagent/core/forked.py": "the main of a forked copy, which must never return",
    "waagent/daemon/main.py": "the daemon's outer loop",
    "waagent/cli/main.py": "the main of the command",
    "waagent/protocol/opener.py": "the main of the process that opens certificates",
    "waagent/protocol/passwords.py": "the main of the process that opens passwords",
    "waagent/exthandlers/main.py": "the main of the child",
    "waagent/exthandlers/loop.py": "one turn from the next",
    "waagent/extensions/reconcile.py": "one handler from the next",
    "waagent/provisioning/deprovision.py": "one deprovision action from the next",
}
THIS_MACHINE = re.compile(r"""(?<![\w.])/(?:work|root)/""")
TEST_NAME = re.compile(r"test_[a-z0-9]+(_[a-z0-9]+){2,}")


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes any exception and does not pass it on."""
    names = (
        [n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)] if handler.type else []
    )
    broad = handler.type is None or bool({"Exception", "BaseException"} & set(names))
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def broad_handlers(source: Source) -> list[int]:
    """The lines on which everything is caught."""
    handlers = (n for n in ast.walk(source.tree) if isinstance(n, ast.ExceptHandler))
    return [h.lineno for h in handlers if catches_everything(h)]


def importers_of(package: str, *folders: str) -> set[str]:
    """The files that import a package."""
    found = set()
    for source in sources(*folders):
        for node in ast.walk(source.tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == package for name in names):
                found.add(source.name)
    return found


def test_everything_is_caught_only_where_the_design_allows_it() -> None:
    """Elsewhere an error that nobody expected must be seen."""
    found = {s.name: broad_handlers(s) for s in sources("waagent") if broad_handlers(s)}
    assert set(found) <= set(BROAD_EXCEPT), found


def test_lxml_has_exactly_one_importer() -> None:
    """The one that refuses entities and DTDs."""
    assert importers_of("lxml", "waagent") == {"waagent/core/xml.py"}


def test_dataclasses_have_exactly_one_importer() -> None:
    """The one that makes them cheaply: a start is mostly imports."""
    assert importers_of("dataclasses", "waagent") == {"waagent/core/records.py"}


def test_emulator_imports_nothing_of_the_agent() -> None:
    """So that the two cannot share a mistake."""
    assert importers_of("waagent", "tests/fabric") == set()


def test_source_has_no_note_to_do_something_later() -> None:
    """What is missing is an issue, not a comment."""
    word = "TO" + "DO"
    found = [s.name for s in everything() if re.search(rf"\b({word}|FIX{'ME'}|XX{'X'})\b", s.text)]
    assert not found


def test_source_names_no_path_of_a_developers_machine() -> None:
    """The project runs anywhere."""
    this = "tests/architecture/test_habits.py"
    found = [s.name for s in everything() if THIS_MACHINE.search(s.text) and s.name != this]
    assert not found


def test_test_names_are_sentences_and_differ_within_a_file() -> None:
    """A name says the subject and what it does: at least three words."""
    poor = []
    for source in sources("tests"):
        names = [f.name for f in source.functions() if f.name.startswith("test")]
        twice = [name for name, count in Counter(names).items() if count > 1]
        poor += [f"{source.name}: {n}" for n in names if not TEST_NAME.fullmatch(n)]
        poor += [f"{source.name}: {n} (twice)" for n in twice]
    assert not poor


def test_modules_and_classes_are_named_for_a_thing() -> None:
    """Not for being handy."""
    named = [s.name for s in sources("waagent", "tests") if s.path.stem in BANNED_MODULES]
    for source in sources("waagent", "tests"):
        named += [
            f"{source.name}: {c.name}" for c in source.classes() if BANNED_CLASSES.match(c.name)
        ]
    assert not named


def test_functions_promise_more_than_to_get_something() -> None:
    """The verbs are those of the design: parse, read, fetch, find, ensure, plan, report."""
    found = [
        f"{s.name}: {f.name}"
        for s in sources("waagent")
        for f in s.functions()
        if f.name.lstrip("_").startswith("get_")
    ]
    assert not found


def test_module_says_what_it_is_about_and_reads_annotations_late() -> None:
    """A docstring of one to five lines, and annotations that Python 3.9 does not evaluate."""
    poor = []
    for source in everything():
        if not source.text.strip():
            continue
        doc = ast.get_docstring(source.tree)
        if not doc or len(doc.splitlines()) > 5:
            poor.append(f"{source.name}: docstring")
        only_doc = len(source.tree.body) == 1
        if not only_doc and "from __future__ import annotations" not in source.text:
            poor.append(f"{source.name}: from __future__ import annotations")
    assert not poor


def test_test_files_do_not_sleep() -> None:
    """They wait for what they need."""
    found = []
    for source in sources("tests"):
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            if node.func.attr == "sleep" and isinstance(owner, ast.Name) and owner.id == "time":
                found.append(f"{source.name}:{node.lineno}")
    assert not found
