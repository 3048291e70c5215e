"""The child as a process of its own, as the daemon starts it, in a folder; for tests of its cost.

When it ends it writes what it has imported to the file ``modules``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Optional

from tests.support.proc import show_process
from waagent.core import log
from waagent.core.clock import Clock, Stop, SystemClock
from waagent.core.commands import CANNOT_START, ProcessRunner, Result
from waagent.core.conf import Conf, load
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System


class FolderRunner(ProcessRunner):
    """Real processes, but none that would change the accounts of the machine the tests run on."""

    def run(self, argv: tuple[str, ...], *, stdin: Optional[bytes], timeout_s: float) -> Result:
        """See ``Runner.run``."""
        if argv[0] in ("useradd", "usermod", "userdel", "chpasswd"):
            return Result(argv, CANNOT_START, "", "this would change the machine itself")
        return super().run(argv, stdin=stdin, timeout_s=timeout_s)


def main(
    root: Path,
    addresses: dict[str, tuple[str, int]],
    make_system: type[System] = System,
    *,
    clock: Optional[Clock] = None,
    checks_parent: bool = False,
) -> int:
    """Run to the end."""
    clock = clock or SystemClock()
    system = make_system(root, FolderRunner(os.environ), clock, dict(os.environ))
    file = system.path("/etc/waagent.conf")
    conf = load(file.read_bytes(), str(file)).conf if file.exists() else Conf()
    paths = make_paths(system, conf)
    log.set_up(prefix="ExtHandler", verbose=False)
    show_process(root, os.getpid())
    context = Context(system, conf, paths, Events(paths.events, clock), Stop(), addresses)

    from waagent.cli.arguments import Command, opening_word
    from waagent.exthandlers.main import run
    from waagent.guest.profiles import profile_of
    from waagent.guest.release import read_release
    from waagent.protocol.opener import OpenerBeside
    from waagent.protocol.passwords import PasswordsBeside

    key = str(paths.transport_private)
    program = (sys.executable, "-m", "waagent")
    opener = OpenerBeside(system, (*program, opening_word(key)))
    opener.stand_by()
    release = read_release(system)
    code = run(
        context,
        release,
        profile_of(release),
        checks_parent=checks_parent,
        opener=opener,
        open_passwords=PasswordsBeside(
            system, (*program, opening_word(key, Command.OPEN_PASSWORDS))
        ),
    )
    (root / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
    return code


if __name__ == "__main__":
    addresses = json.loads(sys.argv[2])
    sys.exit(main(Path(sys.argv[1]), addresses, checks_parent="checks-parent" in sys.argv))
