"""Every accepted word of the command line and its old spellings, as a table.

Source: spec CLI 1.2, 1.3. Words are matched as prefixes after any ``-`` and ``/``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import NamedTuple, Optional, Union


class Command(enum.Enum):
    """What is to be done; the value is the word that is typed."""

    DEPROVISION_USER = "deprovision+user"
    DEPROVISION = "deprovision"
    DAEMON = "daemon"
    START = "start"
    REGISTER_SERVICE = "register-service"
    RUN_EXTHANDLERS = "run-exthandlers"
    VERSION = "version"
    SHOW_CONFIGURATION = "show-configuration"
    SHOW_GOAL_STATE = "show-goal-state"
    HELP = "help"
    COLLECT_LOGS = "collect-logs"
    SETUP_FIREWALL = "setup-firewall"
    OPEN_CERTIFICATES = "open-certificates"
    """Nobody types it: the ext-handler process starts it, see ``protocol/opener.py``."""
    OPEN_PASSWORDS = "open-passwords"
    """The same for just-in-time users, see ``protocol/passwords.py``."""


class Options(NamedTuple):
    """A parsed command line; the last command given is the one.

    A dataclass would bring in a good part of the standard library, and `-version` with it.
    """

    command: Command = Command.HELP
    conf_path: Optional[str] = None
    verbose: bool = False
    debug: bool = False
    force: bool = False
    dry_run: bool = False
    full: bool = False
    json: bool = False
    firewall_address: Optional[str] = None
    key_path: Optional[str] = None


_CONF_PATH = re.compile(r"configuration-path:([\w/.\-]+)", re.ASCII)
_FIREWALL = re.compile(r"setup-firewall=([\d.]{7,})", re.ASCII)
_OPENING = (Command.OPEN_CERTIFICATES, Command.OPEN_PASSWORDS)

# In the order in which they are tried; the first hit wins for an argument (CLI 1.3).
_WORDS: tuple[tuple[str, Union[Command, str]], ...] = (
    ("deprovision+user", Command.DEPROVISION_USER),
    ("deprovision", Command.DEPROVISION),
    ("daemon", Command.DAEMON),
    ("start", Command.START),
    ("register-service", Command.REGISTER_SERVICE),
    ("run-exthandlers", Command.RUN_EXTHANDLERS),
    ("version", Command.VERSION),
    ("verbose", "verbose"),
    ("debug", "debug"),
    ("force", "force"),
    ("dry-run", "dry_run"),
    ("show-configuration", Command.SHOW_CONFIGURATION),
    ("help", Command.HELP),
    ("usage", Command.HELP),
    ("?", Command.HELP),
    ("collect-logs", Command.COLLECT_LOGS),
    ("full", "full"),
    ("show-goal-state", Command.SHOW_GOAL_STATE),
    ("json", "json"),
)

USAGE = (
    "usage: {argv0} [-verbose] [-force] [-dry-run] [-help]"
    " -configuration-path:<path to configuration file>"
    "-deprovision[+user]|-register-service|-version|-daemon|-start|-run-exthandlers"
    "|-show-configuration|-show-goal-state [-json]|-collect-logs [-full]|-setup-firewall=<IP>]"
)


def parse(arguments: Sequence[str]) -> Options:
    """What the arguments ask for; an unknown one asks for help and ends the parsing."""
    options = Options()
    for argument in arguments:
        if not argument:
            continue
        changed = _apply(options, argument.lstrip("-/"))
        if changed is None:
            return options._replace(command=Command.HELP)
        options = changed
    return options


def child_options(options: Options) -> tuple[str, ...]:
    """What is handed down to the processes that we start: only the configuration's path."""
    return (f"-configuration-path:{options.conf_path}",) if options.conf_path else ()


def opening_word(key_path: str, command: Command = Command.OPEN_CERTIFICATES) -> str:
    """The word that has certificates, or passwords, opened with the transport key in that file."""
    return f"-{command.value}:{key_path}"


def _apply(options: Options, word: str) -> Optional[Options]:
    path = _CONF_PATH.match(word)
    if path:
        return options._replace(conf_path=path.group(1))
    for known, meaning in _WORDS:
        if word.startswith(known):
            if isinstance(meaning, Command):
                return options._replace(command=meaning)
            return _flag(options, meaning)
    for opening in _OPENING:
        start, colon, path_text = word.partition(":")
        if colon and start == opening.value:
            return options._replace(command=opening, key_path=path_text)
    address = _FIREWALL.match(word)
    if address:
        return options._replace(command=Command.SETUP_FIREWALL, firewall_address=address.group(1))
    return None


def _flag(options: Options, name: str) -> Options:
    return Options(
        command=options.command,
        conf_path=options.conf_path,
        verbose=options.verbose or name == "verbose",
        debug=options.debug or name == "debug",
        force=options.force or name == "force",
        dry_run=options.dry_run or name == "dry_run",
        full=options.full or name == "full",
        json=options.json or name == "json",
        firewall_address=options.firewall_address,
        key_path=options.key_path,
    )
