"""One command: parse the line, do what it asks for, return its exit code.

Each imports only what it needs, here where it is needed: people and scripts wait for some. What
writes the log is in ``configured.py``. Source: spec CLI 1.4 to 1.6.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from waagent.cli.arguments import Command, Options, child_options, parse


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command that the arguments ask for; its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    program = sys.argv[0]
    if options.conf_path is not None and not _exists(options.conf_path):
        sys.stderr.write(f"Error: Configuration file {options.conf_path} does not exist\n")
        _show_usage(program, options)
        return 1
    quick = _QUICK.get(options.command)
    return _run(program, options) if quick is None else quick(program, options)


def _run(program: str, options: Options) -> int:
    """The commands that write the log.

    A process's main may catch everything: what ends it must be told (ARCHITECTURE.md 4.8). An
    operator's command that fails ends with 1; the reference's 0 is a quirk (docs/parity.md).
    """
    from waagent.cli import configured
    from waagent.core.errors import AgentError, Exit

    try:
        return configured.run(options, program)
    except Exit as leave:
        return leave.code
    except AgentError as error:
        configured.tell_failure(options, error)
    except Exception as error:  # noqa: BLE001 - a process tells what ended it
        configured.tell_failure(options, error, is_defect=True)
    return 1


def _show_usage(program: str, _options: Options) -> int:
    from waagent.cli.show import render_usage

    sys.stdout.write(render_usage(program))
    return 0


def _show_version(_program: str, _options: Options) -> int:
    from waagent.cli.show import render_version
    from waagent.core.rooted import this_machine

    sys.stdout.write(render_version(this_machine()))
    return 0


def _show_configuration(_program: str, options: Options) -> int:
    from waagent.cli.listing import run

    return run(options)


def _show_goal_state(_program: str, options: Options) -> int:
    from waagent.cli.show_goal_state import run

    return run(options)


def _exists(path: str) -> bool:
    """Only that; a folder fails later, as a configuration that cannot be read (CLI 1.2)."""
    from waagent.core.rooted import this_machine

    try:
        return this_machine().path(path).exists()
    except OSError:  # a name that no file system takes
        return False


def _open_certificates(_program: str, options: Options) -> int:
    """A part of the ext-handler process's work, see ``protocol/opener.py``."""
    from waagent.core.rooted import this_machine
    from waagent.protocol.opener import serve

    path = this_machine().path(options.key_path or "")
    return serve(path, sys.stdin.buffer, sys.stdout.buffer)


def _open_passwords(_program: str, options: Options) -> int:
    """The same of the passwords of just-in-time users, see ``protocol/passwords.py``."""
    from waagent.core.rooted import this_machine
    from waagent.protocol.passwords import serve_passwords

    path = this_machine().path(options.key_path or "")
    return serve_passwords(path, sys.stdin.buffer, sys.stdout.buffer)


def _start(program: str, options: Options) -> int:
    """Start the daemon in the background; init scripts of old use it."""
    from waagent.core.commands import Spawn
    from waagent.core.errors import CommandFailed, describe
    from waagent.core.system import real_system

    system = real_system()
    command = (sys.executable, "-u", program, "-daemon", *child_options(options))
    try:
        with system.path("/dev/null").open("wb") as nowhere:
            system.start(Spawn(command, stdout=nowhere, stderr=nowhere))
    except CommandFailed as error:
        sys.stderr.write(f"cannot start the daemon: {describe(error)}\n")
        return 1
    return 0


_QUICK: Mapping[Command, Callable[[str, Options], int]] = {
    Command.HELP: _show_usage,
    Command.VERSION: _show_version,
    Command.SHOW_CONFIGURATION: _show_configuration,
    Command.SHOW_GOAL_STATE: _show_goal_state,
    Command.OPEN_CERTIFICATES: _open_certificates,
    Command.OPEN_PASSWORDS: _open_passwords,
    Command.START: _start,
}
