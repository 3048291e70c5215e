"""The door: rooted paths that never leave their root, whatever the links; programs on the PATH."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner, ok
from waagent.core import files
from waagent.core.clock import SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.rooted import MAX_LINKS
from waagent.core.system import System, real_system

NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.one_of(NAMES, st.sampled_from(["..", ".", "", "../..", "missing"]))
TARGETS: st.SearchStrategy[str] = st.builds(
    lambda up, steps: ("/" if up else "") + "/".join(steps),
    st.booleans(),
    st.lists(STEPS, min_size=1, max_size=5),
).filter(bool)


def rooted(root: Path, path: str = "") -> System:
    """A system whose root is a folder."""
    return System(root, ScriptedRunner({}), ManualClock(), {"PATH": path} if path else {})


@pytest.fixture
def system(tmp_path: Path) -> System:
    """An empty guest."""
    return rooted(tmp_path.resolve())


def lay_out(root: Path, links: list[tuple[list[str], str]]) -> None:
    """Make folders, and links in them, as far as the names are free."""
    for parts, target in links:
        parent = root.joinpath(*parts[:-1])
        try:
            parent.mkdir(parents=True, exist_ok=True)
            parent.joinpath(parts[-1]).symlink_to(target)
        except OSError:  # the name is taken, or a link leads nowhere
            continue


@given(
    links=st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), TARGETS), max_size=12),
    wanted=st.lists(STEPS, min_size=1, max_size=6),
)
def test_rooted_path_never_leaves_its_root_with_any_mix_of_links(
    links: list[tuple[list[str], str]], wanted: list[str]
) -> None:
    """Nor is a link left in it that the kernel would then follow by itself."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        lay_out(root, links)
        try:
            path = rooted(root).path("/" + "/".join(wanted))
        except OSError as error:
            assert error.errno == errno.ELOOP  # noqa: PT017 - any other kind is a failure
            return
        assert path == root or root in path.parents
        assert ".." not in path.parts
        assert Path(os.path.realpath(path)) == path


def test_path_on_the_real_root_is_where_the_kernel_would_go(tmp_path: Path) -> None:
    """A guest and a test's folder do not differ."""
    real = real_system({})
    here = tmp_path.resolve()
    (here / "target").write_bytes(b"x")
    (here / "absolute").symlink_to(here / "target")
    (here / "relative").symlink_to("./target")
    (here / "chain").symlink_to("relative")
    for name in ("absolute", "relative", "chain"):
        assert real.path(f"{here}/{name}") == here / "target"
    assert real.path("/") == Path("/")
    assert real.within(here / "target") == str(here / "target")


def test_absolute_link_stays_inside_the_root(system: System) -> None:
    """A link to /real is the guest's /real."""
    (system.root / "etc").mkdir()
    (system.root / "etc/resolv.conf").symlink_to("/run/stub.conf")
    path = system.path("/etc/resolv.conf")
    assert path == system.root / "run/stub.conf"
    assert system.within(path) == "/run/stub.conf"


@pytest.mark.parametrize("climb", ["/../../etc", "/a/../../../etc", "//etc/", "/./etc/."])
def test_climbing_stops_at_the_root(system: System, climb: str) -> None:
    """As it does at /."""
    assert system.path(climb) == system.root / "etc"


def test_climbing_starts_where_a_link_leads(system: System) -> None:
    """`..` behind a link to a folder is that folder's parent."""
    (system.root / "far/away").mkdir(parents=True)
    (system.root / "near").symlink_to("far/away")
    assert system.path("/near/../x") == system.root / "far/x"


def test_link_that_dangles_is_followed_to_where_its_target_would_be(system: System) -> None:
    """So that a write makes the target, as the kernel does."""
    (system.root / "link").symlink_to("missing/too")
    assert system.path("/link") == system.root / "missing/too"


@pytest.mark.parametrize(("links", "leads"), [(MAX_LINKS, True), (MAX_LINKS + 1, False)])
def test_chain_of_links_is_followed_as_far_as_the_kernel_would(
    system: System, links: int, leads: bool
) -> None:
    """One more is an error, and not a link that leads out of the root."""
    (system.root / "link0").symlink_to("/etc/passwd")
    for number in range(1, links):
        (system.root / f"link{number}").symlink_to(f"link{number - 1}")
    wanted = f"/link{links - 1}"
    if leads:
        assert system.path(wanted) == system.root / "etc/passwd"
    else:
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            system.path(wanted)


def test_entry_is_the_name_itself_even_if_it_is_a_link(system: System) -> None:
    """To remove or make a link; the links of the folders above are followed."""
    (system.root / "real").mkdir()
    (system.root / "etc").symlink_to("real")
    (system.root / "real/link").symlink_to("/somewhere")
    assert system.entry("/etc/link") == system.root / "real/link"
    assert system.entry("/etc/../real/link") == system.root / "real/link"
    assert system.entry("/") == system.root


def test_writing_through_the_door_keeps_a_link_and_replaces_its_target(system: System) -> None:
    """As for resolv.conf and its like."""
    (system.root / "etc").mkdir()
    (system.root / "run").mkdir()
    (system.root / "run/stub").write_bytes(b"old")
    (system.root / "etc/conf").symlink_to("/run/stub")
    files.write(system.path("/etc/conf"), "new")
    assert (system.root / "etc/conf").is_symlink()
    assert (system.root / "run/stub").read_bytes() == b"new"


@pytest.mark.parametrize(
    "odd", ["/x\0y", "/" + "n" * 300, "/a/" * 2000], ids=["nul", "long name", "long path"]
)
def test_path_that_no_file_can_have_is_left_to_whoever_uses_it(system: System, odd: str) -> None:
    """The kernel's error then comes from the use."""
    assert system.root in system.path(odd).parents


def test_command_is_found_on_the_guests_path_through_its_links(tmp_path: Path) -> None:
    """As /usr/bin/editor leads over /etc/alternatives."""
    system = rooted(tmp_path.resolve(), "/opt/bin::/usr/bin")
    for folder in ("opt/bin", "usr/bin", "etc"):
        (system.root / folder).mkdir(parents=True)
    (system.root / "usr/bin/real").write_bytes(b"")
    (system.root / "usr/bin/real").chmod(0o755)
    (system.root / "usr/bin/data").write_bytes(b"")
    (system.root / "usr/bin/folder").mkdir()
    (system.root / "usr/bin/alias").symlink_to("/etc/alternative")
    (system.root / "etc/alternative").symlink_to("/usr/bin/real")
    (system.root / "opt/bin/loop").symlink_to("loop")
    found = {
        name
        for name in ("real", "alias", "data", "folder", "loop", "none")
        if system.has_command(name)
    }
    assert found == {"real", "alias"}


def test_command_is_looked_for_in_the_usual_places_without_a_path(system: System) -> None:
    """A service may be started without one."""
    (system.root / "usr/sbin").mkdir(parents=True)
    (system.root / "usr/sbin/useradd").write_bytes(b"")
    assert not system.has_command("useradd")
    (system.root / "usr/sbin/useradd").chmod(0o755)
    assert system.has_command("useradd")


def test_run_passes_words_input_and_limit_to_the_runner(tmp_path: Path) -> None:
    """Nothing is added and no shell is between."""
    runner = ScriptedRunner({("tool", "a b", "$HOME"): ok("done")})
    system = System(tmp_path, runner, ManualClock())
    assert system.run("tool", "a b", "$HOME", stdin=b"secret", timeout_s=7.0).stdout == "done"
    (call,) = runner.calls
    assert (call.argv, call.stdin, call.timeout_s) == (("tool", "a b", "$HOME"), b"secret", 7.0)


def test_real_system_is_this_machine() -> None:
    """Its root, its processes, its clock."""
    system = real_system({"PATH": "/usr/bin:/bin"})
    assert isinstance(system.runner, ProcessRunner)
    assert isinstance(system.clock, SystemClock)
    assert system.has_command("sh")
    assert system.run("sh", "-c", "echo $PATH").stdout == "/usr/bin:/bin\n"
