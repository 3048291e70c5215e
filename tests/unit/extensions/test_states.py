"""Any goal states, any outcomes of commands, any restarts: every state is one of the table."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.extensions.scripted import PRESENT, Ending, ScriptedLauncher
from tests.unit.extensions.world import World, goal, package
from waagent.extensions.home import homes_on_disk
from waagent.extensions.plans import Known, plan
from waagent.extensions.state import TRANSITIONS, HandlerState, Operation, read_state
from waagent.protocol.documents.handlers import Handler, RequestedState, Settings

VERSIONS = ("1.0", "1.1", "2.0")
SINGLE, SEVERAL = "Test.Single", "Test.Several"
STATES = st.sampled_from(
    (RequestedState.ENABLED,) * 3 + (RequestedState.DISABLED, RequestedState.UNINSTALL)
)
ENDINGS = st.dictionaries(st.sampled_from(Operation), st.sampled_from(Ending), max_size=2)
BOOLEAN = st.booleans()


@st.composite
def handlers(draw: Any) -> tuple[Handler, ...]:
    """Either or both of two handlers, or none; the second with up to three configurations."""
    found = []
    for name in draw(st.sets(st.sampled_from((SINGLE, SEVERAL)))):
        number = draw(st.integers(0, 3))
        names = [name] * draw(st.integers(0, 1))
        if name == SEVERAL:
            names = sorted(draw(st.sets(st.sampled_from(("a", "b", "c.d")), min_size=1)))
        entries = tuple(
            Settings(
                each,
                number,
                state=RequestedState.DISABLED if draw(BOOLEAN) else RequestedState.ENABLED,
                dependency_level=draw(st.integers(0, 2)),
            )
            if name == SEVERAL
            else Settings(each, number)
            for each in names
        )
        version = draw(st.sampled_from(VERSIONS))
        multi = name == SEVERAL
        found.append(
            Handler(name, version, draw(STATES), (name,), settings=entries, is_multi_config=multi)
        )
    return tuple(found)


class Machine(RuleBasedStateMachine):
    """One guest; the fabric asks for this and that."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="states-"))
        self.world = World(self.root)
        self.number = 0
        self.wanted = goal(number=0)

    def teardown(self) -> None:
        """The guest is gone."""
        shutil.rmtree(self.root)

    @initialize(installs=BOOLEAN, goes_on=BOOLEAN)
    def publish(self, *, installs: bool, goes_on: bool) -> None:
        """All versions of both handlers, of one kind of publisher."""
        options: dict[str, Any] = {
            "updateMode": "UpdateWithInstall" if installs else "UpdateWithoutInstall",
            "continueOnUpdateFailure": goes_on,
        }
        for version in VERSIONS:
            self.world.store.publish(version, package(**options), SINGLE)
            content = package(**options, supportsMultipleExtensions=True)
            self.world.store.publish(version, content, SEVERAL)
        self.restart()

    @rule()
    def restart(self) -> None:
        """A new process, which knows what is on the disk."""
        self.launcher = ScriptedLauncher(self.world)
        self.world.start(self.launcher, patience_s=0.0).prepare()

    @rule(wanted=handlers(), endings=ENDINGS)
    def ask(self, wanted: tuple[Handler, ...], endings: dict[Operation, Ending]) -> None:
        """A goal state is carried out, however its commands end."""
        self.number += 1
        self.wanted = goal(*wanted, number=self.number)
        self.carry_out(endings)

    @rule(endings=ENDINGS)
    def ask_again_after_a_restart(self, endings: dict[Operation, Ending]) -> None:
        """The same goal state."""
        self.restart()
        self.carry_out(endings)

    def carry_out(self, endings: dict[Operation, Ending]) -> None:
        """Then nothing is left to do, unless the agent was to stop."""
        self.launcher.endings = endings
        self.launcher.ran.clear()
        self.world.extensions.process(self.wanted)
        ran, self.launcher.endings = list(self.launcher.ran), {}
        is_stopped = any(endings.get(op) is Ending.STOPPED for op, *_ in ran)
        if is_stopped:  # the next process does all of it again
            self.restart()
            return
        self.world.extensions.process(self.wanted)
        assert self.launcher.ran == ran, "done once, it is done again in the same process"
        assert plan(self.wanted, Known(done=self.wanted.identity)) == ()
        if not endings:
            self.check_that_all_is_as_wanted(ran)

    def check_that_all_is_as_wanted(self, ran: list[tuple[Operation, str, str]]) -> None:
        """No command failed."""
        named = {handler.name for handler in self.wanted.handlers}
        assert {home.name for home in homes_on_disk(self.world.paths)} <= named
        enabled = {(name, prefix) for op, name, prefix in ran if op is Operation.ENABLE}
        for handler in self.wanted.handlers:
            self.check_that_it_is_as_wanted(handler, enabled)

    def check_that_it_is_as_wanted(self, handler: Handler, enabled: set[tuple[str, str]]) -> None:
        """One handler, whose commands ended well; each of its configurations was enabled."""
        present = self.present(handler.name)
        if handler.state is RequestedState.UNINSTALL:
            assert present == []
            return
        if handler.state is RequestedState.DISABLED:
            entries = {entry.name for entry in handler.settings}
            for home in present:
                on = {path.name[: -len(".HandlerState")] for path in self.enabled_files(home)}
                is_on = read_state(home) is HandlerState.ENABLED
                assert is_on == bool(on - entries), "enabled by what is not named any more"
            return
        assert [home.version for home in present] == [handler.version]
        wanted = [entry for entry in handler.settings if entry.is_enabled]
        for entry in wanted:
            prefix = f"{entry.name}." if handler.is_multi_config else ""
            assert (handler.full_name, f"{prefix}{entry.sequence_number}") in enabled
        if wanted or not handler.settings:
            assert read_state(present[0]) is HandlerState.ENABLED

    def present(self, name: str) -> list[Any]:
        """Versions of a handler that are installed or enabled."""
        homes = homes_on_disk(self.world.paths, name)
        return [home for home in homes if read_state(home) in PRESENT]

    def enabled_files(self, home: Any) -> list[Path]:
        """Extensions of a handler that are noted as enabled."""
        files = home.config.glob("*.HandlerState")
        return [path for path in files if path.read_text() == "enabled"]

    @invariant()
    def every_state_is_one_of_the_table(self) -> None:
        """The words on disk; at most one version of a handler is there."""
        for home in homes_on_disk(self.world.paths):
            with contextlib.suppress(FileNotFoundError):
                assert HandlerState(home.state.read_text()) in TRANSITIONS
            for path in home.config.glob("*.HandlerState"):
                assert path.read_text() in {"enabled", "disabled"}
        for name in (SINGLE, SEVERAL):
            assert len(self.present(name)) <= 1

    @invariant()
    def every_handler_can_be_reported(self) -> None:
        """In words that the fabric knows."""
        for record in self.world.extensions.statuses(self.wanted):
            assert record.status in {"Ready", "NotReady"}


TestStates = Machine.TestCase
TestStates.settings = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
