"""The built-in provisioning: from ``ovf-env.xml`` to Ready, as steps.

Each step may be repeated: a machine that is killed at any point starts here again and ends
Ready with the password set. What is slow and independent runs beside the rest.
Source: spec DAEMON 5.2; ARCHITECTURE.md decision 9.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, CommandFailed, GuestError, describe
from waagent.core.events import Op
from waagent.guest import hostname, services, ssh, sshd, sudoers, users
from waagent.guest.profile import Profile
from waagent.protocol.documents.ovf import KeyPair, OvfEnv, PublicKey
from waagent.protocol.session import Session
from waagent.provisioning import customdata, marker, media
from waagent.provisioning.errors import ProvisioningError
from waagent.provisioning.hostkeys import HostKeys, take_name_of_this_thread
from waagent.provisioning.report import HealthReports, uptime_text

log = logging.getLogger(__name__)

Connect = Callable[[], Session]
"""Finds the fabric and fetches its goal state, which may take an hour."""

FAILURES = (AgentError, OSError, ValueError)
"""What a step may end with, and somebody at the portal waits to hear of."""

_THUMBPRINT = re.compile(r"[0-9A-F]+")


class NativeProvisioning:
    """Sets the machine up, once."""

    def __init__(
        self, context: Context, profile: Profile, connect: Connect, host_keys: HostKeys
    ) -> None:
        self._context = context
        self._profile = profile
        self._connect = connect
        self._host_keys = host_keys

    def run(self) -> Session:
        """Provision and report; the session for what follows. A failure is reported, not raised.

        Only a fabric that cannot be found is raised: then there is nobody to report to.
        """
        start = self._context.system.clock.monotonic()
        try:
            request = media.take_request(self._context)
        except FAILURES as error:
            session = self._connect()
            HealthReports(self._context, session).report_failed(_as_agent_error(error))
            return session
        _detect_by_file(self._context)
        session = self._connect()
        reports = HealthReports(self._context, session)
        log.info("Starting provisioning")
        # A fabric that takes its time to accept this must not keep the user out of the machine.
        with ThreadPoolExecutor(1, initializer=take_name_of_this_thread()) as pool:
            told = pool.submit(reports.report_starting)
            failure = self._try_to_set_up(request)
            told.result()
        if failure is None:
            self._finish(reports, start)
        else:
            reports.report_failed(_as_agent_error(failure))
        return session

    def _try_to_set_up(self, request: media.Request) -> Optional[Exception]:
        """All steps until the machine counts as provisioned; what prevented that, if anything."""
        try:
            self._set_up(request)
            note_guest_agent_flag(self._context, request.ovf)
            marker.write_marker(self._context)
        except FAILURES as error:
            return error
        return None

    def _set_up(self, request: media.Request) -> None:
        log.info("Handle ovf-env.xml.")
        ovf, system = request.ovf, self._context.system
        log.info("Set hostname [%s]", ovf.host_name)
        hostname.set_hostname(system, self._profile, ovf.host_name)
        log.info("Publish hostname [%s]", ovf.host_name)
        hostname.publish_hostname(
            system, ovf.host_name, record=self._context.paths.published_hostname
        )
        if request.is_account_needed:
            self._make_account(ovf)
            marker.note_done(self._context, self._context.paths.account_ready)
        media.release(self._context, request)
        if ovf.custom_data:
            customdata.save_custom_data(self._context, ovf.custom_data)
        if self._context.conf.provisioning.delete_root_password:
            log.info("Delete root password")
            users.lock_root_password(system, shadow_path=self._context.conf.os.password_path)
        log.info("The fingerprint of the host key is %s", self._host_keys.await_fingerprint())
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
                ordinary=self._profile.ordinary_system_users,
            )
        else:
            ordinary = self._profile.ordinary_system_users
            users.allow_keys_only(system, ovf.user_name, ordinary=ordinary)
        log.info("Configure sudoer")
        sudoers.ensure_sudoer(
            system,
            ovf.user_name,
            sudoers_dir=conf.os.sudoers_dir,
            needs_password=bool(ovf.password),
        )
        try:
            if self._profile.edits_sshd_config:
                self._configure_sshd(ovf)
        finally:  # whatever is wrong with those settings, it is no reason to keep the user out
            self._deploy_keys(ovf)

    def _configure_sshd(self, ovf: OvfEnv) -> None:
        log.info("Configure sshd")
        self._host_keys.await_fingerprint()  # without keys sshd refuses any settings
        os_conf = self._context.conf.os
        sshd.configure_sshd(
            self._context.system,
            ssh_dir=os_conf.ssh_dir,
            user=ovf.user_name,
            allow_password=not ovf.is_ssh_password_disabled,
            client_alive_interval=os_conf.ssh_client_alive_interval_s,
        )

    def _deploy_keys(self, ovf: OvfEnv) -> None:
        for key in ovf.public_keys:
            self._deploy_public_key(ovf.user_name, key)
        for pair in ovf.key_pairs:
            self._deploy_key_pair(ovf.user_name, pair)

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

        return certificate_public_ssh_key(_read_delivered(self._context, fingerprint, "crt"))

    def _deploy_key_pair(self, user: str, pair: KeyPair) -> None:
        from waagent.protocol.transport import public_key_pem

        log.info("Deploy ssh key pairs.")
        if pair.path is None or pair.fingerprint is None:
            raise ProvisioningError("SSH key pair path or Fingerprint is None")
        private = _read_delivered(self._context, pair.fingerprint, "prv")
        public = public_key_pem(private)
        ssh.deploy_key_pair(
            self._context.system,
            user,
            pair.path,
            private.decode("utf-8", "replace"),
            public.decode("ascii"),
            home_dir=self._context.conf.os.home_dir,
        )

    def _finish(self, reports: HealthReports, start: float) -> None:
        context = self._context
        took_ms = int((context.system.clock.monotonic() - start) * 1000)
        context.events.add(
            Op.PROVISION, f"Provisioning succeeded ({uptime_text(context)})", duration_ms=took_ms
        )
        log.info("Provisioning complete")
        reports.report_ready()


def _detect_by_file(context: Context) -> None:
    """Which protocol the media asks for; there is only one left (DAEMON 12.3, decision 14)."""
    log.info("Detect protocol by file")
    if (context.paths.lib / media.TAG_NAME).exists():
        log.info("%s is there; its protocol is no more, using WireProtocol", media.TAG_NAME)


def note_guest_agent_flag(context: Context, ovf: OvfEnv) -> None:
    """When the media says that no agent is wanted, the daemon sleeps from now on (5.2 #18)."""
    context.events.add(Op.PROVISION_GUEST_AGENT, ovf.guest_agent_word)
    if not ovf.provision_guest_agent:
        log.warning("Disabling guest agent in accordance with ovf-env.xml")
        files.write(context.paths.disable_agent, b"")


def _as_agent_error(error: Exception) -> AgentError:
    if isinstance(error, (GuestError, CommandFailed)):
        return ProvisioningError(f"Failed to provision: {error.for_fabric()}")
    if isinstance(error, AgentError):
        return error
    return ProvisioningError(f"Failed to provision: {describe(error)}")


def _read_delivered(context: Context, fingerprint: str, suffix: str) -> bytes:
    """A certificate or key that came with the goal state."""
    thumbprint = fingerprint.upper()
    if not _THUMBPRINT.fullmatch(thumbprint):
        raise ProvisioningError(f'"{fingerprint[:64]}" is no thumbprint of a certificate')
    path = context.paths.lib / f"{thumbprint}.{suffix}"
    try:
        return files.read(path)
    except FileNotFoundError:
        raise ProvisioningError(
            f"Can't find {path.name}: the fabric did not deliver that certificate"
        ) from None
