"""Every file the agent owns, and the names that others rely on (spec CLI 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from waagent.core.conf import Conf
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.core.version import AGENT_NAME

LOG_FILE = "/var/log/waagent.log"
CONSOLE = "/dev/console"
BELIEF = "/run/waagent/goal-state.json"  # in memory: it is written in every turn
HANDLER_FOLDER = re.compile(r"(?P<name>[^-/]+(?:-[^-/]+)*)-(?P<version>\d+(?:\.\d+)*)")


@dataclass(frozen=True)
class Paths:
    """Where things are on this guest, links and test roots resolved."""

    lib: Path
    log: Path
    console: Path
    extension_log: Path
    pid_file: Path
    dvd: Path
    belief: Path

    # state of the daemon and of provisioning
    @property
    def provisioned(self) -> Path:
        """Exists when the machine is provisioned; holds its VM id."""
        return self.lib / "provisioned"

    @property
    def ready_reported(self) -> Path:
        """Exists when the fabric has accepted Ready for this provisioning (decision 9)."""
        return self.lib / "ready_reported"

    @property
    def account_ready(self) -> Path:
        """Exists once account, password and keys are in place: the media is no longer needed."""
        return self.lib / "account_ready"

    @property
    def custom_data_started(self) -> Path:
        """Exists once the custom data was started: it is never run twice."""
        return self.lib / "custom_data_started"

    @property
    def ovf_env(self) -> Path:
        """The saved provisioning document, without the password."""
        return self.lib / "ovf-env.xml"

    @property
    def custom_data(self) -> Path:
        """The custom data, as bytes."""
        return self.lib / "CustomData"

    @property
    def disable_agent(self) -> Path:
        """Its presence makes the daemon sleep instead of running a child."""
        return self.lib / "disable_agent"

    @property
    def published_hostname(self) -> Path:
        """The name that was last published."""
        return self.lib / "published_hostname"

    # protocol
    @property
    def protocol(self) -> Path:
        """``WireProtocol`` once the fabric is found."""
        return self.lib / "Protocol"

    @property
    def endpoint(self) -> Path:
        """The wire server's address once the fabric is found."""
        return self.lib / "WireServerEndpoint"

    @property
    def transport_private(self) -> Path:
        """The transport key; extensions read it too."""
        return self.lib / "TransportPrivate.pem"

    @property
    def transport_cert(self) -> Path:
        """The transport certificate."""
        return self.lib / "TransportCert.pem"

    @property
    def history(self) -> Path:
        """Folders of past goal states."""
        return self.lib / "history"

    @property
    def events(self) -> Path:
        """The spool of telemetry events; extensions write here too."""
        return self.lib / "events"

    @property
    def event_status(self) -> Path:
        """Which status events were sent, and with what result."""
        return self.lib / "event_status.json"

    @property
    def initial_goal_state(self) -> Path:
        """Exists once the first goal state has converged."""
        return self.lib / "initial_goal_state"

    @property
    def crash_note(self) -> Path:
        """What a child that died of an exception left behind."""
        return self.lib / "current_version"

    @property
    def leaving_users(self) -> Path:
        """Just-in-time users whose accounts are being deleted."""
        return self.lib / "remote_access_leaving.json"

    @property
    def fast_track(self) -> Path:
        """The time of the newest fast-track goal state."""
        return self.lib / "fast_track.json"

    # handlers
    def handler(self, name: str, version: str) -> Path:
        """An extension handler's own folder."""
        return self.lib / f"{name}-{version}"

    def package(self, name: str, version: str) -> Path:
        """Where a handler's package is downloaded; note the two underscores (spec CLI 3.1)."""
        return self.lib / f"{name}__{version}.zip"

    def handler_log(self, name: str) -> Path:
        """A handler's log folder."""
        return self.extension_log / name

    def handler_folders(self) -> Iterable[tuple[str, str, Path]]:
        """Name, version and folder of every handler on disk; the agent's own are left out."""
        if not self.lib.is_dir():
            return
        for folder in sorted(self.lib.iterdir()):
            match = HANDLER_FOLDER.fullmatch(folder.name)
            if match and folder.is_dir() and match["name"] != AGENT_NAME:
                yield match["name"], match["version"], folder

    def secrets(self) -> Iterable[Path]:
        """Files of the lib dir that only root may read (spec DAEMON 1.5, read-only files)."""
        for pattern in ("*.crt", "*.p7m", "*.pem", "*.prv", "Certificates.xml", "ovf-env.xml"):
            for path in self.lib.glob(pattern):
                if path.name != "microsoft_root_certificate.pem":
                    yield path


def make_paths(system: System, conf: Conf) -> Paths:
    """The paths of this guest under its configuration."""
    return Paths(
        lib=system.path(conf.paths.lib_dir),
        log=system.path(LOG_FILE),
        console=system.path(CONSOLE),
        extension_log=system.path(conf.paths.extension_log_dir),
        pid_file=system.path(conf.paths.pid_file),
        dvd=system.path(conf.paths.dvd_mount_point),
        belief=system.path(BELIEF),
    )
