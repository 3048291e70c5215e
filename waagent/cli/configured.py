"""The commands that read the configuration and write the log: build the context once, run one.

A command of a later version is one line in ``RUNNERS``. Source: spec CLI 1.4, 1.5.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from waagent.cli.arguments import Command, Options, child_options, opening_word
from waagent.core import files, log, streams
from waagent.core.clock import Stop
from waagent.core.conf import Conf, Loaded, read_conf
from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.core.events import Events, Op
from waagent.core.paths import LOG_FILE, make_paths
from waagent.core.records import dataclass
from waagent.core.system import System, real_system
from waagent.guest import stats
from waagent.guest.profile import Profile
from waagent.guest.profiles import environment_changes, read_profile
from waagent.guest.release import Release, read_release

logger = logging.getLogger(__name__)

PREFIXES = {Command.DAEMON: "Daemon", Command.RUN_EXTHANDLERS: "ExtHandler"}
LEAVES_NO_LOG = frozenset({Command.DEPROVISION, Command.DEPROVISION_USER})


@dataclass(frozen=True)
class Machine:
    """What is known before the configuration is read."""

    system: System
    release: Release
    profile: Profile
    program: str


@dataclass(frozen=True)
class Call:
    """One command, and all that it may need."""

    machine: Machine
    options: Options
    context: Context


def run(options: Options, program: str) -> int:
    """Run the command; its exit code. What ends it otherwise is raised."""
    streams.ensure_open()
    system = real_system()
    log.set_up(
        prefix=PREFIXES.get(options.command),
        verbose=options.verbose,
        priorities="JOURNAL_STREAM" in system.environment,
    )
    release = read_release(system)
    # The daemon changes its working directory before it starts its child by this name.
    profile = read_profile(system, release)
    changes = environment_changes(profile, system.environment)
    system = real_system(changes) if changes else system
    machine = Machine(system, release, profile, str(Path(program).absolute()))
    name = options.conf_path or machine.profile.conf_path
    loaded = read_conf(system.path(name), name)
    runner = RUNNERS.get(options.command)
    if runner is None:
        raise AgentError(
            f"this version cannot do -{options.command.value} yet; nothing has been changed"
        )
    return runner(_prepare(machine, options, loaded))


def tell_failure(options: Options, error: Exception, *, is_defect: bool = False) -> None:
    """Log why the command ends, a defect with its traceback."""
    text = f"Failed to run '{options.command.value}': {describe(error)}"
    logger.error("%s", text, exc_info=error if is_defect else None)


def _prepare(machine: Machine, options: Options, loaded: Loaded) -> Call:
    context = _build_context(machine, options, loaded.conf)
    if options.command in LEAVES_NO_LOG:
        return Call(machine, options, context)
    log.add_file(
        context.system.path(LOG_FILE),
        prefix=PREFIXES.get(options.command),
        verbose=options.verbose or loaded.conf.logs.verbose,
    )
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    _make_log_directory(context)
    return Call(machine, options, context)


def _build_context(machine: Machine, options: Options, conf: Conf) -> Context:
    system = machine.system
    if options.command is Command.DAEMON:
        from waagent.daemon.fips import environment_of

        system = real_system({**system.environment, **environment_of(system, conf)})
    paths = make_paths(system, conf)
    events = Events(paths.events, system.clock, status_file=paths.event_status)
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


def _run_daemon(call: Call) -> int:
    from waagent.daemon.main import Daemon, Launch

    def boot() -> int:
        from waagent.daemon.boot import boot

        return boot(call.context, call.machine.profile)

    launch = Launch(call.machine.program, child_options(call.options))
    os_name = f"{call.machine.release.name} {call.machine.release.version}"
    return Daemon(call.context, launch, boot, os_name).run(_add_console(call))


def _run_exthandlers(call: Call) -> int:
    from waagent.protocol.opener import OpenerBeside

    machine, context = call.machine, call.context
    key = str(context.paths.transport_private)
    opener = OpenerBeside(context.system, (sys.executable, machine.program, opening_word(key)))
    opener.stand_by()
    from waagent.exthandlers.main import run
    from waagent.protocol.passwords import PasswordsBeside

    word = opening_word(key, Command.OPEN_PASSWORDS)

    return run(
        context,
        machine.release,
        machine.profile,
        checks_parent=not call.options.debug,
        opener=opener,
        open_passwords=PasswordsBeside(context.system, (sys.executable, machine.program, word)),
    )


def _deprovision(call: Call) -> int:
    from waagent.cli.deprovision import run

    return run(call.context, call.machine.profile, call.options)


def _register_service(call: Call) -> int:
    from waagent.cli.register import run

    return run(call.context.system, call.machine.profile.agent_service)


def _add_console(call: Call) -> Callable[[], None]:
    """Log to the console too until the machine is provisioned; what ends that."""
    conf = call.context.conf.logs
    if not conf.console or call.context.paths.provisioned.exists():
        return lambda: None
    verbose = call.options.verbose or conf.verbose
    handler = log.add_file(call.context.paths.console, prefix="Daemon", verbose=verbose)

    def off() -> None:
        logger.info(
            "End of log to /dev/console. The agent will now check for updates and then will"
            " process extensions."
        )
        log.remove(handler)

    return off


RUNNERS: Mapping[Command, Callable[[Call], int]] = {
    Command.DAEMON: _run_daemon,
    Command.RUN_EXTHANDLERS: _run_exthandlers,
    Command.DEPROVISION: _deprovision,
    Command.DEPROVISION_USER: _deprovision,
    Command.REGISTER_SERVICE: _register_service,
}
