"""The boot story on one screen, in order; then the daemon only watches its child.

What boots the machine runs in a forked helper (``boot``), so that the process which stays for
years is small. Source: spec DAEMON 1.3 to 1.7.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import Callable

from waagent.core import forked, signals
from waagent.core.clock import Clock
from waagent.core.commands import OUR_CHANNEL, Spawn
from waagent.core.context import Context
from waagent.core.errors import AgentError, CommandFailed, Exit, describe
from waagent.core.events import Op
from waagent.core.records import dataclass
from waagent.core.redact import redact
from waagent.core.sockets import notify_service_manager
from waagent.core.version import AGENT_LONG_NAME, AGENT_NAME, AGENT_VERSION
from waagent.daemon import child, fips, libdir, pidfile
from waagent.daemon.outcome import DONE, TAKEN_OVER
from waagent.daemon.phases import Phases

log = logging.getLogger(__name__)

NAME = "Daemon"
VERSION_VARIABLE = "_AZURE_GUEST_AGENT_DAEMON_VERSION_"
RETRY_S = 15.0
TAKE_OVER_S = 300.0  # systemd starts us again when we leave; the installer needs its time
SHORT_LIFE_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
IDLE_BEAT_S = 3600.0


@dataclass(frozen=True)
class Launch:
    """How this agent starts its own child: the command line and its options."""

    program: str
    options: tuple[str, ...] = ()

    def command(self) -> tuple[str, ...]:
        """The child's command line; ``-run-exthandlers`` in it is what others look for."""
        return (sys.executable, "-u", self.program, "-run-exthandlers", *self.options)


class Daemon:
    """The long-lived parent."""

    def __init__(
        self, context: Context, launch: Launch, boot: Callable[[], int], os_name: str
    ) -> None:
        self._context = context
        self._launch = launch
        self._boot = boot
        self._os_name = os_name
        self._environment = context.system.environment
        self._beat_s = _beat_period(self._environment)

    def run(self, console_off: Callable[[], None]) -> int:
        """Boot the machine, then run the child, until told to stop; the exit code."""
        threading.current_thread().name = NAME
        signals.stop_on(self._context.stop, signals.ends_of_a_daemon())
        self._banner()
        holder = pidfile.claim(self._context.system, self._context.paths.pid_file)
        if holder is not None:
            log.info("Daemon is already running: %d", holder)
            return 0
        log.info("Process %d is in %s", os.getpid(), self._context.paths.pid_file)
        self._tell_of_fips()
        libdir.ensure(self._context.paths.lib)
        self._notify("READY=1")
        try:
            return self._run_for_ever(console_off)
        finally:
            self._notify("STOPPING=1")

    def _run_for_ever(self, console_off: Callable[[], None]) -> int:
        while not self._context.stop.is_set():
            try:
                self._boot_and_supervise(console_off)
            except Exit as leave:
                log.info("%s", leave.why)
                return leave.code
            except Exception as error:  # noqa: BLE001 - the outer loop outlives any defect
                self._report_crash(error)
                self._rest(RETRY_S)
        return 0

    def _boot_and_supervise(self, console_off: Callable[[], None]) -> None:
        log.info("Run daemon")
        self._tell("Preparing this machine")
        end = self._run_helper()
        if end.code is None:
            raise Exit(0, "Stopped while preparing this machine")
        if end.code == TAKEN_OVER:
            log.info("Exiting")
            self._tell("System Center VMM sets this machine up")
            self._rest(TAKE_OVER_S)
            raise Exit(0, "This machine is set up by System Center VMM")
        if end.code != DONE:
            raise AgentError(f"cannot prepare this machine: the helper ended with {end.code}")
        self._stay_disabled_if_asked()
        console_off()
        self._run_children()

    def _run_helper(self) -> child.End:
        """Boot in a forked copy, and pass on what it says that it is doing."""
        phases = Phases()
        try:
            helper = forked.fork(phases.told_by(self._boot))
            phases.listen()
            return self._watch_helper(helper, phases)
        finally:
            phases.close()

    def _watch_helper(self, helper: forked.ForkedChild, phases: Phases) -> child.End:
        def beat() -> None:
            self._beat()
            said = phases.read_last()
            if said and not self._context.stop.is_set():
                self._tell(f"Preparing this machine: {said}")

        try:
            return child.watch(
                helper,
                self._clock,
                self._context.stop,
                every_s=self._beat_s,
                beat=beat,
                wakes=phases.descriptors,
            )
        except BaseException:
            helper.kill_group()  # never two that set up the same machine
            raise

    def _run_children(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._context.stop.is_set():
            lived_s = self._run_child()
            if self._context.stop.is_set():
                return
            if lived_s >= SHORT_LIFE_S:
                pause_s = FIRST_PAUSE_S
                continue
            log.info("The agent lived %.1f s only; next start in %g s", lived_s, pause_s)
            self._tell(f"The agent ended after {lived_s:.1f} s, next start in {pause_s:g} s")
            self._rest(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _run_child(self) -> float:
        """Run one child to its end; how long it lived, in seconds."""
        name = f"{AGENT_NAME}-{AGENT_VERSION}"
        command = self._launch.command()
        text = " ".join(command)
        log.info("Installed Agent %s is the most current agent", name)
        try:
            process = self._context.system.start(
                Spawn(command, cwd=self._context.paths.lib, env=_for_child(self._environment))
            )
        except CommandFailed as error:
            message = f"Agent {name} launched with command '{text}' failed with exception:"
            log.warning("%s %s", message, describe(error))
            self._context.events.add(
                Op.ENABLE, f"{message} {describe(error)}", success=False, quiet=True
            )
            return 0.0
        log.info("Agent %s launched with command '%s' is successfully running", name, text)
        self._tell(f"Handling extensions with {name}, process {process.pid}")
        end = child.watch(
            process, self._clock, self._context.stop, every_s=self._beat_s, beat=self._beat
        )
        if end.code:
            message = f"ExtHandler process {name} launched with command '{text}' exited with"
            log.warning("%s return code: %d", message, end.code)
            self._context.events.add(
                Op.ENABLE, f"{message} return code: {end.code}", success=False, quiet=True
            )
        return end.lived_s

    def _stay_disabled_if_asked(self) -> None:
        path = self._context.paths.disable_agent
        if not path.exists():
            return
        log.warning(
            "Disabling the guest agent by sleeping forever; to re-enable, remove %s and restart",
            path,
        )
        log.warning(
            "To enable VM extensions, also ensure that the VM's osProfile."
            "allowExtensionOperations property is set to true."
        )
        self._tell(f"Disabled by {path}")
        self._beat()
        while not self._clock.wait(self._context.stop, self._beat_s):
            self._beat()
        raise Exit(0, "Stopped while disabled")

    def _tell_of_fips(self) -> None:
        source = fips.find_source(self._context.system, self._context.conf)
        log.info("FIPS mode is %s", f"on ({source})" if source else "off")

    def _banner(self) -> None:
        log.info("%s Version: %s", AGENT_LONG_NAME, AGENT_VERSION)
        log.info("OS: %s", self._os_name)
        log.info("Python: %d.%d.%d", *sys.version_info[:3])

    def _report_crash(self, error: Exception) -> None:
        self._context.events.add(
            Op.UNHANDLED_ERROR, describe(error), success=False, name="WALA", quiet=True
        )
        log.warning(
            "Daemon ended with exception -- Sleep %g seconds and restart daemon",
            RETRY_S,
            exc_info=None if isinstance(error, AgentError) else error,
        )
        log.warning("The reason was: %s", describe(error))
        self._tell(f"Trying again in {RETRY_S:g} s: {describe(error)}")

    def _rest(self, seconds: float) -> None:
        """Do nothing for a while, but let systemd know that we live."""
        left_s = seconds
        while left_s > 0:
            if self._clock.wait(self._context.stop, min(left_s, self._beat_s)):
                return
            left_s -= self._beat_s
            self._beat()

    def _beat(self) -> None:
        """To systemd: we live; or, once we are told to stop, that we do."""
        is_stopping = self._context.stop.is_set()
        self._notify("STOPPING=1\nSTATUS=Stopping" if is_stopping else "WATCHDOG=1")

    def _tell(self, status: str) -> None:
        """To whoever asks systemd for our status: what we are doing."""
        self._notify(f"STATUS={' '.join(redact(status).split())}")

    def _notify(self, state: str) -> None:
        notify_service_manager(self._environment, state)

    @property
    def _clock(self) -> Clock:
        return self._context.system.clock


def _for_child(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Ours with our version, but without systemd's channel to us: nobody else speaks for us."""
    kept = {name: value for name, value in environment.items() if name not in OUR_CHANNEL}
    return {**kept, VERSION_VARIABLE: AGENT_VERSION}


def _beat_period(environment: Mapping[str, str]) -> float:
    """How often systemd wants to hear of us: a third of its limit (sd_watchdog_enabled(3))."""
    text = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not re.fullmatch("[1-9][0-9]{0,18}", text) or meant_for != str(os.getpid()):
        return IDLE_BEAT_S
    return min(int(text) / 3_000_000, IDLE_BEAT_S)
