"""ovf-env.xml: what the provisioning media asks for (spec DAEMON 4.4).

Not where the media is, nor what provisioning makes of it. Look-ups are by namespace and name at
any depth, the first in the document wins; texts are taken as they stand.
"""

from __future__ import annotations

from typing import Optional

from waagent.core import xml
from waagent.core.errors import DocumentError
from waagent.core.records import dataclass, field

OVF = "http://schemas.dmtf.org/ovf/environment/1"
WA = "http://schemas.microsoft.com/windowsazure"

KNOWN_VERSION = "1.0"


@dataclass(frozen=True)
class PublicKey:
    """A key for authorized_keys: by value, or by the fingerprint of a certificate."""

    path: Optional[str]
    fingerprint: Optional[str]
    value: Optional[str]


@dataclass(frozen=True)
class KeyPair:
    """A key pair to install, by the fingerprint of its certificate."""

    path: Optional[str]
    fingerprint: Optional[str]


@dataclass(frozen=True)
class OvfEnv:
    """The whole request; ``custom_data`` is the text as sent, normally base64."""

    host_name: str
    user_name: str
    password: Optional[str] = field(default=None, repr=False)
    custom_data: Optional[str] = field(default=None, repr=False)
    is_ssh_password_disabled: bool = False
    public_keys: tuple[PublicKey, ...] = ()
    key_pairs: tuple[KeyPair, ...] = ()
    guest_agent_word: str = "true"
    version: str = KNOWN_VERSION

    @property
    def provision_guest_agent(self) -> bool:
        """Whether the agent is to stay awake; only the word "false" turns it off."""
        return self.guest_agent_word.strip().lower() != "false"

    @property
    def is_newer(self) -> bool:
        """Whether the document is of a later version than we know; it is used all the same."""
        return self.version > KNOWN_VERSION


def parse_ovf_env(data: bytes) -> OvfEnv:
    """The provisioning document; a missing part is named as the health report shows it."""
    document = xml.parse(data, "ovf-env.xml")
    if (document.name, document.namespace) != ("Environment", OVF):
        environment = document.find("Environment", OVF)
        if environment is None:
            raise _missing("Environment")
        document = environment
    _find(document, "ProvisioningSection")
    version = _text(document, "Version")
    config = _find(document, "LinuxProvisioningConfigurationSet")
    ssh = config.find("SSH", WA)
    return OvfEnv(
        host_name=_text(config, "HostName"),
        user_name=_text(config, "UserName"),
        password=_maybe_text(config, "UserPassword"),
        custom_data=_maybe_text(config, "CustomData"),
        is_ssh_password_disabled=_is_true(_maybe_text(config, "DisableSshPasswordAuthentication")),
        public_keys=_parse_public_keys(ssh) if ssh is not None else (),
        key_pairs=_parse_key_pairs(ssh) if ssh is not None else (),
        guest_agent_word=_parse_agent_word(document),
        version=version,
    )


def without_password(data: bytes) -> bytes:
    """The document with ``*`` for every password, however it is written; the rest stays.

    Done in the parsed tree: a pattern over the text misses prefixes, attributes, CDATA and
    passwords of several lines (spec DAEMON 4.3). Comments go, since they may hold anything.
    """
    document = xml.parse(data, "ovf-env.xml")
    xml.remove_remarks(document)
    for node in list(document.walk()):
        if _is_password(node.name):
            xml.replace_attributes(node, {})
            node.replace_content("*")
        elif any(_is_password(name) for name in xml.attributes(node)):
            kept = xml.attributes(node).items()
            stars = {name: "*" if _is_password(name) else value for name, value in kept}
            xml.replace_attributes(node, stars)
    return document.render()


def _is_password(name: str) -> bool:
    return name.lower().endswith("password")


def _parse_agent_word(document: xml.Node) -> str:
    settings = _find(_find(document, "PlatformSettingsSection"), "PlatformSettings")
    return _text(settings, "ProvisionGuestAgent")


def _parse_public_keys(ssh: xml.Node) -> tuple[PublicKey, ...]:
    return tuple(
        PublicKey(
            path=node.maybe_text("Path"),
            fingerprint=node.maybe_text("Fingerprint"),
            value=node.maybe_text("Value"),
        )
        for node in ssh.many("PublicKeys/PublicKey")
    )


def _parse_key_pairs(ssh: xml.Node) -> tuple[KeyPair, ...]:
    return tuple(
        KeyPair(path=node.maybe_text("Path"), fingerprint=node.maybe_text("Fingerprint"))
        for node in ssh.many("KeyPairs/KeyPair")
    )


def _find(node: xml.Node, name: str) -> xml.Node:
    found = node.find(name, WA)
    if found is None:
        raise _missing(name)
    return found


def _maybe_text(node: xml.Node, name: str) -> Optional[str]:
    found = node.find(name, WA)
    return (found.content() or None) if found is not None else None


def _text(node: xml.Node, name: str) -> str:
    text = _maybe_text(node, name)
    if text is None:
        raise _missing(name)
    return text


def _missing(name: str) -> DocumentError:
    return DocumentError(f"Failed to validate OVF: {name} not found")


def _is_true(text: Optional[str]) -> bool:
    return text is not None and text.strip().lower() == "true"
