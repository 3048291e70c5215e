"""waagent.conf: every option in frozen sections, and how the file is read.

The file is read once per process (spec CLI 2.2). Nothing in it can stop the agent but its
absence: a line that cannot be used is a warning, which names file, line, key and what is used
instead. What the options are is said in the ``conf_*`` modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Optional

from waagent.core.conf_machine import (
    LogsConf,
    OsConf,
    PathsConf,
    ProvisioningConf,
    ResourceDiskConf,
)
from waagent.core.conf_service import (
    AutoUpdateConf,
    CgroupsConf,
    DebugConf,
    ExtensionsConf,
    HttpProxyConf,
    MonitorConf,
    ProtocolConf,
)
from waagent.core.errors import ConfError
from waagent.core.options import (
    Declared,
    Reading,
    Value,
    groups_of,
    heading,
    parse_value,
    show_value,
)
from waagent.core.records import dataclass, field, replace

LARGEST_FILE = 1024 * 1024
MOST_WARNINGS = 100
_LONGEST_SHOWN = 60
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True)
class Conf:
    """The whole configuration; ``Conf()`` has the code's defaults.

    ``present`` has the keys that the file gives any value but ``None``, usable or not.
    """

    provisioning: ProvisioningConf = field(
        default=ProvisioningConf(), metadata=heading("Provisioning")
    )
    resource_disk: ResourceDiskConf = field(
        default=ResourceDiskConf(), metadata=heading("Resource disk")
    )
    extensions: ExtensionsConf = field(
        default=ExtensionsConf(), metadata=heading("Extensions and goal state")
    )
    auto_update: AutoUpdateConf = field(
        default=AutoUpdateConf(), metadata=heading("Updates of the agent")
    )
    os: OsConf = field(default=OsConf(), metadata=heading("Operating system"))
    logs: LogsConf = field(default=LogsConf(), metadata=heading("Logs"))
    protocol: ProtocolConf = field(default=ProtocolConf(), metadata=heading("Wire server"))
    http_proxy: HttpProxyConf = field(default=HttpProxyConf(), metadata=heading("HTTP proxy"))
    monitor: MonitorConf = field(default=MonitorConf(), metadata=heading("Monitoring"))
    paths: PathsConf = field(default=PathsConf(), metadata=heading("Paths"))
    cgroups: CgroupsConf = field(default=CgroupsConf(), metadata=heading("Limits of the agent"))
    debug: DebugConf = field(default=DebugConf(), metadata=heading("Debugging"))
    present: frozenset[str] = field(default_factory=frozenset)

    def is_present(self, key: str) -> bool:
        """Whether the file gives this key a value, be it a bad one (spec CLI 2.2, presence)."""
        return key in self.present

    def value(self, declared: Declared) -> Value:
        """The effective value of an option, for those who walk all of them."""
        found: Value = getattr(getattr(self, declared.section), declared.name)
        return found

    @property
    def downloads_updates(self) -> bool:
        """Whether newer agents are fetched (decision table, spec CLI 2.3)."""
        return self.auto_update.update_to_latest_version

    @property
    def runs_newest_agent(self) -> bool:
        """Whether the daemon runs the newest agent on disk rather than the installed one."""
        return self.auto_update.enabled or self.is_present("AutoUpdate.UpdateToLatestVersion")


GROUPS = groups_of(Conf)
OPTIONS: tuple[Declared, ...] = tuple(each for group in GROUPS for each in group.options)
BY_KEY: Mapping[str, Declared] = MappingProxyType({each.option.key: each for each in OPTIONS})

IGNORED_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "CGroups.Enabled": "never read by any agent of today",
        "CGroups.EnforceLimits": "read by agents 2.2.32 to 2.2.54",
        "CGroups.Excluded": "read by agents 2.2.32 to 2.2.54",
        "Debug.EnableRsmDowngrade": "never had an effect",
        "Home.Dir": "never read; the key is OS.HomeDir",
        "LBProbeResponder": "read by agents 2.0",
        "Network.Interface": "never read; in the file of Alpine",
        "OS.SshdConfigPath": "never read; in the file of BIG-IP",
        "RSA.KeyLength": "never read; in an old manual",
        "Role.ConfigurationConsumer": "read by agents 2.0",
        "Role.StateConsumer": "read by agents 2.0",
        "Role.TopologyConsumer": "read by agents 2.0",
    }
)
"""Keys of files in the field that need no warning although nothing reads them."""


@dataclass(frozen=True)
class Loaded:
    """What a file comes to, and what has to be told about it in the log."""

    conf: Conf
    warnings: tuple[str, ...] = ()

    @property
    def present(self) -> frozenset[str]:
        """The keys that the file gives any value but ``None``."""
        return self.conf.present


@dataclass(frozen=True)
class _Written:
    """A value as the file has it, and where."""

    line: int
    text: str


class _Warnings:
    """Collects warnings about one file; tells at most ``MOST_WARNINGS``, in the file's order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts: list[tuple[int, str]] = []

    def add(self, line: int, subject: str, why: str, instead: str) -> None:
        text = f"Cannot use {subject} in {self._name}, line {line}: {why}; {instead}"
        self._texts.append((line, text))

    def all(self) -> tuple[str, ...]:
        told = [text for _, text in sorted(self._texts)[:MOST_WARNINGS]]
        left_out = len(self._texts) - len(told)
        if left_out:
            told.append(f"There are {left_out} more warnings about {self._name}")
        return tuple(told)


def read_conf(path: Path, name: str = "") -> Loaded:
    """Read the file at ``path``, called ``name`` in messages; ConfError when there is no text."""
    shown = name or str(path)
    try:
        if path.exists() and not path.is_file():
            raise ConfError(f"cannot read the configuration {shown}: it is not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfError(
            f"cannot read the configuration {shown}: there is no such file; put the package's"
            " file back, or name another with -configuration-path:<path>"
        ) from error
    except OSError as error:
        raise ConfError(
            f"cannot read the configuration {shown}: {error.strerror}; make it readable for root"
        ) from error
    if not data:
        raise ConfError(
            f"cannot use the configuration {shown}: it is empty; put the package's file back"
        )
    if len(data) > LARGEST_FILE:
        raise ConfError(
            f"cannot use the configuration {shown}: it is larger than {LARGEST_FILE} bytes;"
            " put the package's file back"
        )
    return load(data, shown)


def load(data: bytes, name: str) -> Loaded:
    """Read the content of a configuration file; whatever the bytes, there is a Conf."""
    warnings = _Warnings(name)
    written = _parse_lines(data, warnings)
    _warn_unknown(written, warnings)
    conf = _apply(Conf(), written, warnings)
    present = frozenset(key for key, value in written.items() if value.text != "None")
    return Loaded(replace(conf, present=present), warnings.all())


def _parse_lines(data: bytes, warnings: _Warnings) -> Mapping[str, _Written]:
    """The last value of each key; what is no assignment at all is left out."""
    written: dict[str, _Written] = {}
    for count, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.decode("utf-8", "replace")
        if line.lstrip(_BYTE_ORDER_MARK).strip()[:1] in ("", "#"):
            continue
        key, equals, rest = line.partition("=")
        key = key.strip()
        if not equals:
            warnings.add(count, "the text", "it has no =", "the line is ignored")
            continue
        value = rest.partition("#")[0].strip(' "').strip()
        trouble = _trouble_with(key, value)
        if trouble:
            warnings.add(count, f"'{_shown(key)}'", trouble, "the line is ignored")
            continue
        if key in written:
            earlier = written[key].line
            instead = f"line {count} is used instead"
            warnings.add(earlier, f"'{_shown(key)}'", f"line {count} has it again", instead)
        written[key] = _Written(count, value)
    return written


def _trouble_with(key: str, value: str) -> str:
    """Why a line cannot even be looked up, or an empty string."""
    if _UNREADABLE in key + value:
        return "it is not UTF-8 text"
    if key.startswith(_BYTE_ORDER_MARK):
        return "the file begins with a byte-order mark, which becomes part of the key"
    return "" if key else "there is no key before the ="


def _warn_unknown(written: Mapping[str, _Written], warnings: _Warnings) -> None:
    unknown = [key for key in written if key not in BY_KEY and key not in IGNORED_KEYS]
    for count, key in enumerate(unknown):
        # Looking for the nearest key is slow; a file of any other kind must not hold up the boot.
        near = _nearest(key) if count < MOST_WARNINGS else None
        why = "the agent has no such key" + (f" (did you mean '{near}'?)" if near else "")
        warnings.add(written[key].line, f"'{_shown(key)}'", why, "the line is ignored")


def _nearest(key: str) -> Optional[str]:
    for known in BY_KEY:
        if known.lower() == key.lower():
            return known
    import difflib  # most files have no such key

    near = difflib.get_close_matches(key[:_LONGEST_SHOWN], BY_KEY, n=1, cutoff=0.85)
    return near[0] if near else None


def _apply(conf: Conf, written: Mapping[str, _Written], warnings: _Warnings) -> Conf:
    """Put the file's values into the sections; options that follow another come after it."""
    values: dict[str, Value] = {}
    for declared in sorted(OPTIONS, key=lambda each: each.option.follows is not None):
        option = declared.option
        values[option.key] = values[option.follows] if option.follows else option.default
        entry = written.get(option.key)
        if entry is None or entry.text == "None":
            continue
        reading = parse_value(option, entry.text)
        if reading.usable:
            values[option.key] = reading.value
        if reading.complaint is not None:
            _warn_bad(option.key, entry, reading, values[option.key], warnings)
    changes: dict[str, Any] = {
        group.section: replace(
            getattr(conf, group.section),
            **{each.name: values[each.option.key] for each in group.options},
        )
        for group in GROUPS
    }
    return replace(conf, **changes)


def _warn_bad(
    key: str, entry: _Written, reading: Reading, used: Value, warnings: _Warnings
) -> None:
    subject = f"'{_shown(entry.text)}' for {key}"
    warnings.add(
        entry.line, subject, reading.complaint or "", f"{show_value(used)} is used instead"
    )


def _shown(text: str) -> str:
    """Text from the file, fit for one line of a log."""
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return clean if len(clean) <= _LONGEST_SHOWN else clean[:_LONGEST_SHOWN] + "..."
