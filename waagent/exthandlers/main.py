"""Assemble the child: session, extensions, workers and loop; stop all of it in reverse.

Source: spec EXT 1.1, 1.2, 1.5.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from functools import partial
from typing import Optional

from waagent.core import files, signals
from waagent.core.conf_notices import find_key_conflict, notices_of
from waagent.core.context import Context
from waagent.core.errors import Exit, describe
from waagent.core.events import Op
from waagent.core.records import dataclass, replace
from waagent.core.version import AGENT_LONG_NAME, AGENT_NAME, AGENT_VERSION
from waagent.core.workers import Workers
from waagent.environment.thread import make_environment
from waagent.extensions.meanwhile import SpeakingClock
from waagent.extensions.reconcile import Extensions
from waagent.exthandlers import orphans
from waagent.exthandlers.convergence import Convergence
from waagent.exthandlers.keeper import Keeper
from waagent.exthandlers.loop import Loop, Parts
from waagent.exthandlers.report import Report, Sources
from waagent.guest import stats
from waagent.guest.profile import Profile
from waagent.guest.release import Release
from waagent.monitor.heartbeat import AgentHeartbeat
from waagent.monitor.threads import Monitor, Peers, make_monitor
from waagent.protocol.imds import learn_compute
from waagent.protocol.network import make_transport
from waagent.protocol.opener import OpenerBeside
from waagent.protocol.passwords import PasswordOpener, open_passwords_in_process
from waagent.protocol.saved_endpoint import KNOWN_ENDPOINT, find_saved
from waagent.protocol.session import Session, open_session
from waagent.remoteaccess.users import RemoteUsers

log = logging.getLogger(__name__)

NAME = "ExtHandler"
STOP_WITHIN_S = 2.0


@dataclass(frozen=True)
class ExtHandlers:
    """The whole process, put together once."""

    context: Context
    loop: Loop
    monitor: Monitor
    workers: Workers
    heartbeat: AgentHeartbeat
    keeper: Keeper
    checks_parent: bool

    def run(self) -> None:
        """Turn after turn, until told to stop or until the daemon is gone."""
        clock, stop = self.context.system.clock, self.context.stop
        self.workers.start()
        log.info("Goal State Period: %d sec.", self.context.conf.extensions.goal_state_period_s)
        try:
            while not stop.is_set():
                if _is_orphan(self.context, checks_parent=self.checks_parent):
                    return
                self.workers.revive()
                self.loop.turn()
                if self.heartbeat.beat_if_due(self.loop.failures_since_heartbeat):
                    self.loop.failures_since_heartbeat = 0
                clock.wait(stop, self.loop.period_s())
        finally:
            self.workers.stop(STOP_WITHIN_S)
            self.monitor.finish()
        self.keeper.end_if_told()


def run(
    context: Context,
    release: Release,
    profile: Profile,
    *,
    checks_parent: bool,
    opener: Optional[OpenerBeside] = None,
    open_passwords: Optional[PasswordOpener] = None,
) -> int:
    """The child's life; its exit code. What ends it unexpectedly is noted for the next start.

    ``opener`` opens certificates, see ``open_session``; ``open_passwords`` those of users.
    """
    threading.current_thread().name = NAME
    signals.stop_on(context.stop)
    try:
        _banner(context, release)
        session = _connect(context, profile, opener)
        process = assemble(
            context,
            session,
            release,
            profile,
            checks_parent=checks_parent,
            open_passwords=open_passwords,
        )
        if opener is not None:
            opener.dismiss()
        if process is not None:
            process.run()
    except Exit as leave:
        log.info("%s", leave.why)
        return leave.code
    except Exception as error:
        log.exception("Agent %s failed with exception: %s", orphans.NAME, describe(error))
        note = f"[{orphans.NAME}] [{describe(error)}]"
        with contextlib.suppress(OSError):
            files.write(context.paths.crash_note, note)
        return 1
    with contextlib.suppress(OSError):
        files.remove(context.paths.crash_note)
    log.info("Agent %s ends", orphans.NAME)
    return 0


def assemble(
    context: Context,
    session: Session,
    release: Release,
    profile: Profile,
    *,
    checks_parent: bool,
    open_passwords: Optional[PasswordOpener] = None,
) -> Optional[ExtHandlers]:
    """Put the process together around a first goal state; ``None`` if told to stop before."""
    extensions = Extensions(
        context,
        session.channels,
        wire_address=session.wire.endpoint,
        keep_manifest=session.store.save_manifest,
    )
    convergence = Convergence(context.paths, context.events)
    keeper = Keeper(context, extensions.standings)
    keeper.begin()
    sources = Sources(session.store, extensions, session.uploader, release, keeper)
    report = Report(context, sources, convergence)
    remote_users = RemoteUsers(
        context,
        open_passwords or open_passwords_in_process(context.paths.transport_private),
        is_supported=profile.jit_users,
    )
    loop = Loop(
        context, Parts(session.store, extensions, report, convergence, remote_users, keeper)
    )
    if not loop.await_first_goal_state(partial(_is_orphan, context, checks_parent=checks_parent)):
        keeper.end_if_told()
        return None
    _complete_telemetry(context, session)
    _outlive_older_ones(context, loop)
    _tell_of_a_crash(context)
    _tell_of_the_configuration(context)
    _close_secrets(context)
    extensions.prepare()
    monitor = make_monitor(
        context,
        Peers(session.wire, session.host, session.imds, session.health, session.exchange.io_errors),
    )
    heartbeat = AgentHeartbeat(
        context.events,
        context.system.clock,
        auto_update=context.conf.downloads_updates,
        update_mode=lambda: "SelfUpdate",
    )
    watch = (orphans.watch_daemon(context),) if checks_parent else ()
    environment = make_environment(context, profile, watch)
    workers = Workers((*monitor.workers, environment), context.system.clock)
    return ExtHandlers(context, loop, monitor, workers, heartbeat, keeper, checks_parent)


def _is_orphan(context: Context, *, checks_parent: bool) -> bool:
    """Whether our daemon is gone: another one has a child of its own."""
    if not checks_parent or not orphans.is_orphan(context.paths.pid_file):
        return False
    log.info("Agent %s is an orphan -- exiting", orphans.NAME)
    return True


def _outlive_older_ones(context: Context, loop: Loop) -> None:
    """No two run extensions at the same time; the fabric hears of us while one is waited for."""
    clock = SpeakingClock(context.system.clock)
    clock.begin(loop.report_meanwhile, after_s=0.0)
    with context.doing("wait for older ext-handlers to end", limit_s=orphans.PATIENCE_S):
        system = replace(context.system, clock=clock)
        orphans.claim(system, context.paths.pid_file, context.stop)


def _banner(context: Context, release: Release) -> None:
    log.info("%s (Goal State Agent version %s)", AGENT_LONG_NAME, AGENT_VERSION)
    log.info("OS: %s %s", release.name, release.version)
    log.info("Python: %d.%d.%d", *sys.version_info[:3])
    log.info("CPU Arch: %s", stats.architecture())
    context.events.learn(ga_version=f"{AGENT_NAME}-{AGENT_VERSION}")


def _connect(context: Context, profile: Profile, opener: Optional[OpenerBeside]) -> Session:
    """A session with the endpoint that the daemon found, or with one found now."""
    transport = make_transport(context)
    saved = find_saved(context)
    if saved is None:
        from waagent.protocol.endpoint import Detection  # the daemon has done that, as a rule

        saved = Detection(context, profile, transport).find()
    if saved != KNOWN_ENDPOINT:
        context.events.add(Op.PROTOCOL_ENDPOINT, f"The wire server's address is {saved}")
    return open_session(context, transport, saved, keeps_history=True, opener=opener)


def _complete_telemetry(context: Context, session: Session) -> None:
    """From now on every event says which machine this is (EXT 9.4)."""
    snapshot = session.store.current()
    context.events.learn(
        tenant_name=snapshot.hosting.deployment_name,
        role_name=snapshot.hosting.role_name,
        role_instance_name=snapshot.goal_state.role_instance_id or "",
    )
    learn_compute(session.imds, context.events)


def _tell_of_a_crash(context: Context) -> None:
    note = files.read_if_there(context.paths.crash_note)
    if note is not None:
        text = f"Agent did not terminate cleanly: {note}"
        log.info("%s", text)
        context.events.add(Op.RESTART, text, success=False, quiet=True)


def _tell_of_the_configuration(context: Context) -> None:
    """Values that differ from their defaults, for whoever looks at many machines (CLI 2.6)."""
    for text in notices_of(context.conf):
        log.info("%s", text)
        context.events.add(Op.CONFIGURATION_CHANGE, text)
    conflict = find_key_conflict(context.conf)
    if conflict is not None:
        log.warning("%s", conflict)
        context.events.add(Op.CONFIGURATION_CHANGE, conflict, success=False, quiet=True)


def _close_secrets(context: Context) -> None:
    """Keys of the lib dir become readable for root only, whoever wrote them (EXT 1.1, step 15)."""
    for path in context.paths.secrets():
        try:
            path.chmod(0o400)
        except OSError as error:
            log.warning("Cannot close %s: %s", path, error)
