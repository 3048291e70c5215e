"""One item being worked on, and the loop that runs any list of steps for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

from waagent.core.events import Op
from waagent.core.records import dataclass, field
from waagent.extensions.codes import ExtensionError
from waagent.extensions.home import extension_of
from waagent.extensions.launch import NOT_RUN
from waagent.extensions.operate import Operator, Tools
from waagent.extensions.state import HandlerState, is_extension_enabled
from waagent.protocol.documents.handlers import Settings
from waagent.protocol.documents.manifest import Package


@dataclass
class Work:
    """The wanted version of a handler, the settings of this item, the version it replaces.

    The exit codes are those of the old version's commands, which later commands are told.
    """

    tools: Tools
    new: Operator
    settings: Optional[Settings]
    package: Optional[Package]
    old: Optional[Operator] = None
    uninstall_code: str = NOT_RUN
    disable_codes: dict[str, str] = field(default_factory=dict)
    step: Optional[Step] = None

    def run(self, steps: Sequence[Step]) -> None:
        """Run the steps in order; ``step`` is the one that was begun last."""
        for step in steps:
            self.step = step
            step.do(self)

    @property
    def replaced(self) -> Operator:
        """The old version; an ``ExtensionError`` where there is none."""
        if self.old is None:
            raise ExtensionError(f"cannot update {self.new.home.full_name}: no older one is here")
        return self.old

    def is_enabled(self, entry: Settings) -> bool:
        """Whether these settings are enabled now, as the states on disk say."""
        extension = extension_of(self.new.handler, entry)
        if extension is None:
            return self.new.state is HandlerState.ENABLED
        return is_extension_enabled(self.new.home, extension)


@dataclass(frozen=True)
class Step:
    """One thing to do, and the operation under which its failure is reported."""

    name: str
    op: Optional[Op]
    do: Callable[[Work], None]
