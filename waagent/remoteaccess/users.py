"""When just-in-time users are looked at, and what becomes of errors: one user's stay that user's.

Nothing is remembered that matters: who is ours is read from the machine each time. A list is gone
through when it is new, when somebody's time is over by the wall clock (or is no longer, since the
clock was set back), and again after failures. Source: spec EXT 11.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Callable, Optional

from waagent.core.context import Context
from waagent.core.errors import AgentError, CryptoError, describe
from waagent.core.events import Op
from waagent.core.later import Later
from waagent.protocol.documents.remoteaccess import RemoteAccess
from waagent.protocol.passwords import Opened, PasswordOpener
from waagent.remoteaccess.accounts import Accounts
from waagent.remoteaccess.leaving import Leaving
from waagent.remoteaccess.plan import Grant, Plan, expired, plan_users

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0

Errors = (AgentError, OSError)
Seen = tuple[Optional[RemoteAccess], frozenset[str]]


class RemoteUsers:
    """Keeps the just-in-time accounts of this machine as the goal state wants them."""

    def __init__(
        self, context: Context, open_passwords: PasswordOpener, *, is_supported: bool
    ) -> None:
        self._context = context
        self._open = open_passwords
        self._is_supported = is_supported
        self._accounts = Accounts(
            context.system, context.conf, Leaving(context.paths.leaving_users)
        )
        self._seen: Optional[Seen] = None
        self._has_failed = False
        self._later = Later(context.system.clock, first_s=FIRST_PAUSE_S, most_s=LONGEST_PAUSE_S)

    def apply(self, access: Optional[RemoteAccess]) -> None:
        """Bring the accounts there; failures are told, never raised, and tried again later."""
        if not self._is_supported:
            return
        seen = (access, expired(access, self._context.system.clock.now()))
        if seen != self._seen:
            self._later.reset()
        elif not (self._has_failed and self._later.is_due):
            return
        self._seen = seen
        self._has_failed = not self._carry_out(access)
        if self._has_failed:
            self._later.postpone()

    def _carry_out(self, access: Optional[RemoteAccess]) -> bool:
        """One pass; whether all of it went well."""
        try:
            self._accounts.finish_removals()
            plan = plan_users(access, self._accounts.present(), self._context.system.clock.now())
        except Errors as error:
            self._complain(f"Cannot tell which users are remote access users: {describe(error)}")
            return False
        for note in plan.notes:
            self._complain(note)
        done = [
            self._attempt("delete", name, partial(self._accounts.remove, name))
            for name in plan.remove
        ]
        done += [
            self._attempt("extend", each.user.name, partial(self._accounts.extend, each))
            for each in plan.extend
        ]
        for grant, password in self._open_all(plan):
            work = partial(self._accounts.add, grant, password)
            done.append(self._attempt("add", grant.user.name, work))
        return all(done)

    def _open_all(self, plan: Plan) -> Sequence[tuple[Grant, Opened]]:
        """The password of each who is to be added, or why there is none."""
        sealed = [each for each in plan.add if each.user.encrypted_password]
        opened: dict[str, Opened] = {}
        if sealed:
            try:
                texts = self._open([each.user.encrypted_password or "" for each in sealed])
            except Errors as error:
                failure = CryptoError(f"cannot open the password: {describe(error)}")
                texts = tuple(failure for _ in sealed)
            opened = dict(zip((each.user.name for each in sealed), texts))
        none = CryptoError("cannot open the password: there is none")
        return [(each, opened.get(each.user.name, none)) for each in plan.add]

    def _attempt(self, verb: str, name: str, work: Callable[[], None]) -> bool:
        """Whether that worked; what did not is told, and keeps nobody else out."""
        if self._context.stop.is_set():
            return False  # the next start does it
        try:
            with self._context.events.operation(
                Op.REMOTE_ACCESS, f'{verb} the remote access user "{name}"'
            ):
                work()
        except Errors:
            return False
        return True

    def _complain(self, text: str) -> None:
        log.error("%s", text)
        self._context.events.add(Op.REMOTE_ACCESS, text, success=False, quiet=True)
