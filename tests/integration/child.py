"""The child as a process of its own, as the daemon starts it, in a folder; for tests of its cost.

When it ends it writes what it has imported to the file ``modules``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from waagent.core import log
from waagent.core.clock import Stop, SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.conf import Conf
from waagent.core.context import Context
from waagent.core.events import Events
from waagent.core.paths import make_paths
from waagent.core.system import System


def main(root: Path, addresses: dict[str, tuple[str, int]]) -> int:
    """Run to the end."""
    clock = SystemClock()
    system = System(root, ProcessRunner(os.environ), clock, dict(os.environ))
    conf = Conf()
    paths = make_paths(system, conf)
    log.set_up(prefix="ExtHandler", verbose=False)
    context = Context(system, conf, paths, Events(paths.events, clock), Stop(), addresses)

    from waagent.cli.arguments import opening_word
    from waagent.exthandlers.main import run
    from waagent.guest.profiles import profile_of
    from waagent.guest.release import read_release
    from waagent.protocol.opener import OpenerBeside

    word = opening_word(str(paths.transport_private))
    opener = OpenerBeside(system, (sys.executable, "-m", "waagent", word))
    opener.stand_by()
    release = read_release(system)
    code = run(context, release, profile_of(release), checks_parent=False, opener=opener)
    (root / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
