"""The host's SSH keys, made beside all else: on a small machine nothing takes longer."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, describe
from waagent.guest import ssh
from waagent.provisioning.errors import ProvisioningError


def take_name_of_this_thread() -> Callable[[], None]:
    """For another thread to call: it speaks in the log under the same name from then on."""
    name = threading.current_thread().name

    def take_name() -> None:
        threading.current_thread().name = name

    return take_name


class HostKeys:
    """Makes them from the beginning of a ``with`` block on, which ends when they are done."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(1, initializer=take_name_of_this_thread())
        self._making: Future[str] = self._pool.submit(self._make)

    def __enter__(self) -> HostKeys:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._pool.shutdown()

    def await_fingerprint(self) -> str:
        """Wait until there are keys; the fingerprint of the one that is reported."""
        try:
            return self._making.result()
        except (AgentError, OSError, ValueError) as error:
            raise ProvisioningError(
                f"Failed to generate ssh host key: {describe(error)}"
            ) from error

    def _make(self) -> str:
        conf = self._context.conf
        return ssh.ensure_host_keys(
            self._context.system,
            ssh_dir=conf.os.ssh_dir,
            key_type=conf.provisioning.ssh_host_key_pair_type,
            regenerate=conf.provisioning.regenerate_ssh_host_key_pair,
        )
