"""The built-in provisioning: from ``ovf-env.xml`` to Ready, as steps.

Each step may be repeated: a machine that is killed at any point starts here again and ends
Ready with the password set. What is slow and independent runs beside the rest.
Source: spec DAEMON 5.2; ARCHITECTURE.md decision 9.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, CommandFailed, GuestError, describe
from waagent.core.events import Op
from waagent.guest import hostname, services, ssh, stats, sudoers, users
from waagent.guest.profile import Profile
from waagent.protocol.documents.ovf import KeyPair, OvfEnv, PublicKey
from waagent.protocol.session import Session
from waagent.provisioning import customdata, marker, media
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.leftovers import await_leftovers
from waagent.provisioning.report import HealthReports

log = logging.getLogger(__name__)

Connect = Callable[[], Session]
"""Finds the fabric and fetches its goal state, which may take an hour."""


@dataclass(frozen=True)
class Beside:
    """What runs beside the rest: new host keys, and the search for the fabric."""

    host_keys: Future[str]
    session: Future[Session]


class NativeProvisioning:
    """Sets the machine up, once."""

    def __init__(self, context: Context, profile: Profile, connect: Connect) -> None:
        self._context = context
        self._profile = profile
        self._connect = connect

    def run(self) -> Session:
        """Provision and report; the session for what follows. A failure is reported, not raised.

        Only a fabric that cannot be found is raised: then there is nobody to report to.
        """
        log.info("Running default provisioning handler")
        await_leftovers(self._context)
        thread = threading.current_thread().name

        def take_name() -> None:
            threading.current_thread().name = thread

        with ThreadPoolExecutor(max_workers=2, initializer=take_name) as pool:
            beside = Beside(pool.submit(self._make_host_keys), pool.submit(self._connect))
            return self._run_beside(beside)

    def _run_beside(self, beside: Beside) -> Session:
        start = self._context.system.clock.monotonic()
        try:
            request = media.take_request(self._context)
        except (AgentError, OSError) as error:
            session = beside.session.result()
            self._fail(HealthReports(self._context, session), error)
            return session
        session = beside.session.result()
        reports = HealthReports(self._context, session)
        log.info("Starting provisioning")
        reports.report_starting()
        try:
            self._set_up(request, beside)
        except (AgentError, OSError) as error:
            self._fail(reports, error)
            return session
        self._finish(request.ovf, reports, start)
        return session

    def _set_up(self, request: media.Request, beside: Beside) -> None:
        log.info("Handle ovf-env.xml.")
        ovf, system = request.ovf, self._context.system
        log.info("Set hostname [%s]", ovf.host_name)
        hostname.set_hostname(system, self._profile, ovf.host_name)
        log.info("Publish hostname [%s]", ovf.host_name)
        hostname.publish_hostname(
            system, ovf.host_name, record=self._context.paths.published_hostname
        )
        fingerprint = self._host_keys_of(beside)
        log.info("The fingerprint of the host key is %s", fingerprint)
        if request.is_account_needed:
            self._make_account(ovf)
            files.write(self._context.paths.account_ready, b"")
        media.release(self._context, request)
        if ovf.custom_data:
            customdata.save_custom_data(self._context, ovf.custom_data)
        if self._context.conf.provisioning.delete_root_password:
            users.lock_root_password(system, shadow_path=self._context.conf.os.password_path)
        services.refresh(system, self._profile.ssh_service)

    def _make_account(self, ovf: OvfEnv) -> None:
        """The user with password, sudo and keys; what is there already stays (DAEMON 5.4)."""
        system, conf = self._context.system, self._context.conf
        log.info("Create user account if not exists")
        users.ensure_user(system, ovf.user_name)
        if ovf.password:
            log.info("Set user password.")
            users.set_password(
                system,
                ovf.user_name,
                ovf.password,
                crypt_id=conf.provisioning.password_crypt_id,
                salt_length=conf.provisioning.password_crypt_salt_length,
                allow_system_user=conf.provisioning.allow_reset_sys_user,
            )
        log.info("Configure sudoer")
        sudoers.ensure_sudoer(
            system,
            ovf.user_name,
            sudoers_dir=conf.os.sudoers_dir,
            needs_password=bool(ovf.password),
        )
        if self._profile.edits_sshd_config:
            self._configure_sshd(allow_password=not ovf.is_ssh_password_disabled)
        for key in ovf.public_keys:
            self._deploy_public_key(ovf.user_name, key)
        for pair in ovf.key_pairs:
            self._deploy_key_pair(ovf.user_name, pair)

    def _configure_sshd(self, *, allow_password: bool) -> None:
        log.info("Configure sshd")
        os_conf = self._context.conf.os
        ssh.configure_sshd(
            self._context.system,
            ssh_dir=os_conf.ssh_dir,
            allow_password=allow_password,
            client_alive_interval=os_conf.ssh_client_alive_interval_s,
        )

    def _deploy_public_key(self, user: str, key: PublicKey) -> None:
        log.info("Deploy ssh public key.")
        if key.path is None:
            raise ProvisioningError("Public key path is None")
        value = key.value
        if value is None:
            if key.fingerprint is None:
                raise ProvisioningError("SSH public key Fingerprint and Value are None")
            value = self._public_key_of(key.fingerprint)
        ssh.deploy_public_key(
            self._context.system, user, key.path, value, home_dir=self._context.conf.os.home_dir
        )

    def _public_key_of(self, fingerprint: str) -> str:
        from waagent.protocol.transport import certificate_public_ssh_key

        path = self._context.paths.lib / f"{fingerprint.upper()}.crt"
        return certificate_public_ssh_key(_read_key(path))

    def _deploy_key_pair(self, user: str, pair: KeyPair) -> None:
        from waagent.protocol.transport import public_key_pem

        log.info("Deploy ssh key pairs.")
        if pair.path is None or pair.fingerprint is None:
            raise ProvisioningError("SSH key pair path or Fingerprint is None")
        private = _read_key(self._context.paths.lib / f"{pair.fingerprint.upper()}.prv")
        ssh.deploy_key_pair(
            self._context.system,
            user,
            pair.path,
            private.decode("ascii"),
            public_key_pem(private).decode("ascii"),
            home_dir=self._context.conf.os.home_dir,
        )

    def _make_host_keys(self) -> str:
        conf = self._context.conf
        return ssh.ensure_host_keys(
            self._context.system,
            ssh_dir=conf.os.ssh_dir,
            key_type=conf.provisioning.ssh_host_key_pair_type,
            regenerate=conf.provisioning.regenerate_ssh_host_key_pair,
        )

    def _host_keys_of(self, beside: Beside) -> str:
        """Waited for before sshd is configured: without host keys it refuses any settings."""
        try:
            return beside.host_keys.result()
        except (GuestError, CommandFailed, OSError) as error:
            raise ProvisioningError(
                f"Failed to generate ssh host key: {describe(error)}"
            ) from error

    def _finish(self, ovf: OvfEnv, reports: HealthReports, start: float) -> None:
        context = self._context
        marker.write_marker(context)
        took_ms = int((context.system.clock.monotonic() - start) * 1000)
        context.events.add(
            Op.PROVISION, f"Provisioning succeeded ({_uptime_text(context)})", duration_ms=took_ms
        )
        note_guest_agent_flag(context, ovf)
        log.info("Provisioning complete")
        reports.report_ready()

    def _fail(self, reports: HealthReports, error: Exception) -> None:
        """Say why, in the fabric's words; the next start of the daemon tries again."""
        failure = _as_provisioning_error(error)
        text = failure.for_fabric()
        log.error("Provisioning failed: %s (%s)", text, _uptime_text(self._context))
        reports.report_failed(text)
        self._context.events.add(Op.PROVISION, text, success=False, quiet=True)


def note_guest_agent_flag(context: Context, ovf: OvfEnv) -> None:
    """When the media says that no agent is wanted, the daemon sleeps from now on (5.2 #18)."""
    wanted = ovf.provision_guest_agent
    context.events.add(Op.PROVISION_GUEST_AGENT, str(wanted).lower())
    if not wanted:
        log.warning("Disabling guest agent in accordance with ovf-env.xml")
        files.write(context.paths.disable_agent, b"")


def _as_provisioning_error(error: Exception) -> AgentError:
    if isinstance(error, (GuestError, CommandFailed)):
        return ProvisioningError(f"Failed to provision: {error.for_fabric()}")
    if isinstance(error, AgentError):
        return error
    return ProvisioningError(f"Failed to provision: {describe(error)}")


def _read_key(path: Path) -> bytes:
    try:
        return files.read(path)
    except FileNotFoundError:
        raise ProvisioningError(
            f"Can't find {path.name}: the fabric did not deliver that certificate"
        ) from None


def _uptime_text(context: Context) -> str:
    return f"{stats.uptime_s(context.system):.2f}s"
