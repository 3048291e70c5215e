"""One command: parse the line, do what it asks for, return its exit code.

Each imports only what it needs, here where it is needed: people and scripts wait for some. What
writes the log is in ``configured.py``. Source: spec CLI 1.4 to 1.6.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from waagent.cli.arguments import Command, Options, child_options, parse


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command that the arguments ask for; its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    program = sys.argv[0]
    if options.conf_path is not None and not _exists(options.conf_path):
        sys.stderr.write(f"Error: Configuration file {options.conf_path} does not exist\n")
        _show_usage(program)
        return 1
    if options.command is Command.HELP:
        _show_usage(program)
        return 0
    if options.command is Command.VERSION:
        from waagent.cli.show import render_version
        from waagent.core.rooted import this_machine

        sys.stdout.write(render_version(this_machine()))
        return 0
    if options.command is Command.SHOW_CONFIGURATION:
        from waagent.cli.listing import run

        return run(options)
    if options.command is Command.START:
        return _start(program, options)
    return _run(options, program)


def _run(options: Options, program: str) -> int:
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


def _show_usage(program: str) -> None:
    from waagent.cli.show import render_usage

    sys.stdout.write(render_usage(program))


def _exists(path: str) -> bool:
    """Only that; a folder fails later, as a configuration that cannot be read (CLI 1.2)."""
    from waagent.core.rooted import this_machine

    try:
        return this_machine().path(path).exists()
    except OSError:  # a name that no file system takes
        return False


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
