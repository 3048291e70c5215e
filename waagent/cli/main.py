"""One command: parse the line, build the context once, run it, return its exit code.

Source: spec CLI 1.4 to 1.6. An operator's command that fails ends with 1; the reference's 0 is a
quirk (docs/parity.md).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from waagent.cli import show
from waagent.cli.arguments import Command, Options, parse
from waagent.core import files, log
from waagent.core.clock import Stop
from waagent.core.commands import Spawn
from waagent.core.conf import Conf, read_conf
from waagent.core.context import Context
from waagent.core.errors import AgentError, Exit, describe
from waagent.core.events import Events, Op
from waagent.core.paths import LOG_FILE, make_paths
from waagent.core.system import System, real_system
from waagent.guest import stats
from waagent.guest.profile import Profile
from waagent.guest.profiles import profile_of
from waagent.guest.release import Release, read_release

logger = logging.getLogger(__name__)

PREFIXES = {Command.DAEMON: "Daemon", Command.RUN_EXTHANDLERS: "ExtHandler"}
NOT_YET = frozenset(
    {
        Command.DEPROVISION,
        Command.DEPROVISION_USER,
        Command.REGISTER_SERVICE,
        Command.COLLECT_LOGS,
        Command.SETUP_FIREWALL,
    }
)


@dataclass(frozen=True)
class Machine:
    """What is known before the configuration is read."""

    system: System
    release: Release
    profile: Profile
    program: str


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command that the arguments ask for; its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    machine = _machine()
    if options.conf_path is not None and not machine.system.path(options.conf_path).exists():
        sys.stderr.write(f"Error: Configuration file {options.conf_path} does not exist\n")
        show.show_usage(machine.program)
        return 1
    if options.command is Command.VERSION:
        show.show_version(machine.system)
        return 0
    if options.command is Command.HELP:
        show.show_usage(machine.program)
        return 0
    if options.command is Command.START:
        return _start(machine, options)
    return _run(machine, options)


def _machine() -> Machine:
    system = real_system()
    release = read_release(system)
    return Machine(system, release, profile_of(release), sys.argv[0])


def _run(machine: Machine, options: Options) -> int:
    """The commands that read the configuration and write the log."""
    prefix = PREFIXES.get(options.command)
    log.set_up(
        prefix=prefix,
        verbose=options.verbose,
        stdout=options.command is not Command.SHOW_CONFIGURATION,
        priorities="JOURNAL_STREAM" in machine.system.environment,
    )
    # Every process's main may catch everything: what ends it must be told (ARCHITECTURE.md 4.8).
    try:
        name = options.conf_path or machine.profile.conf_path
        loaded = read_conf(machine.system.path(name), name)
        if options.command is Command.SHOW_CONFIGURATION:
            return _show_configuration(loaded.conf)
        context = _build_context(machine, options, loaded.conf)
        log.add_file(
            context.system.path(LOG_FILE),
            prefix=prefix,
            verbose=options.verbose or loaded.conf.logs.verbose,
        )
        for warning in loaded.warnings:
            logger.warning("%s", warning)
        return _dispatch(machine, options, context)
    except Exit as leave:
        return leave.code
    except AgentError as error:
        logger.error("Failed to run '%s': %s", options.command.value, describe(error))
        if options.command is Command.SHOW_CONFIGURATION:
            sys.stderr.write(f"{describe(error)}\n")
        return 1
    except Exception as error:  # a process's main tells what ended it
        logger.exception("Failed to run '%s': %s", options.command.value, describe(error))
        return 1


def _dispatch(machine: Machine, options: Options, context: Context) -> int:
    if options.command in NOT_YET:
        raise AgentError(f"-{options.command.value} is not in this version yet")
    _make_log_directory(context)
    if options.command is Command.DAEMON:
        return _daemon(machine, options, context)
    from waagent.exthandlers.main import run

    return run(context, machine.release, machine.profile, checks_parent=not options.debug)


def _daemon(machine: Machine, options: Options, context: Context) -> int:
    from waagent.daemon.main import Daemon, Launch

    def boot() -> int:
        from waagent.daemon.boot import boot

        return boot(context, machine.profile)

    launch = Launch(machine.program, _child_options(options))
    os_name = f"{machine.release.name} {machine.release.version}"
    console_off = _add_console(context, options)
    return Daemon(context, launch, boot, os_name).run(console_off)


def _add_console(context: Context, options: Options) -> Callable[[], None]:
    """Log to the console too until the machine is provisioned; what ends that."""
    conf = context.conf.logs
    if not conf.console or context.paths.provisioned.exists():
        return lambda: None
    handler = log.add_file(
        context.paths.console, prefix="Daemon", verbose=options.verbose or conf.verbose
    )

    def off() -> None:
        logger.info(
            "End of log to /dev/console. The agent will now check for updates and then will"
            " process extensions."
        )
        log.remove(handler)

    return off


def _build_context(machine: Machine, options: Options, conf: Conf) -> Context:
    system = machine.system
    if options.command is Command.DAEMON:
        from waagent.daemon.fips import environment_of

        system = real_system(environment_of(conf))
    paths = make_paths(system, conf)
    events = Events(paths.events, system.clock)
    events.learn(
        os_version=stats.os_version_text(system, machine.release),
        ram_mb=stats.ram_mb(system),
        processors=stats.processors(system),
        architecture=stats.architecture(),
    )
    return Context(system, conf, paths, events, Stop())


def _make_log_directory(context: Context) -> None:
    """Extensions log there; a failure is told and the start goes on (CLI 1.4, step 6)."""
    path = context.paths.extension_log
    try:
        files.ensure_directory(path)
    except (AgentError, OSError) as error:
        text = f"Exception occurred while creating extension log directory {path}"
        logger.error("%s: %s", text, describe(error))
        context.events.add(Op.LOG, text, success=False, quiet=True)


def _show_configuration(conf: Conf) -> int:
    from waagent.cli.configuration import show_configuration

    sys.stdout.write(show_configuration(conf))
    return 0


def _start(machine: Machine, options: Options) -> int:
    """Start the daemon in the background; init scripts of old use it."""
    with machine.system.path("/dev/null").open("wb") as nowhere:
        machine.system.start(
            Spawn(
                (sys.executable, "-u", machine.program, "-daemon", *_child_options(options)),
                stdout=nowhere,
                stderr=nowhere,
            )
        )
    return 0


def _child_options(options: Options) -> tuple[str, ...]:
    return (f"-configuration-path:{options.conf_path}",) if options.conf_path else ()
