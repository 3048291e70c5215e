"""What the fabric wants of one virtual machine, as frozen values.

Nothing here knows of requests or of files; documents.py writes it down, portal.py changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

STORAGE_HOST = "fabricstore.blob.core.windows.net"
WIRE_AUTHORITY = "168.63.129.16:80"
PUBLISHER = "Fabric.Test"
ECHO = PUBLISHER + ".Echo"

ENABLED, DISABLED, UNINSTALL = "enabled", "disabled", "uninstall"
BLOCK_BLOB, PAGE_BLOB = "BlockBlob", "PageBlob"
FAST_TRACK_OFF, FAST_TRACK_FABRIC, FAST_TRACK_ON = "off", "fabric", "fast_track"


@dataclass(frozen=True)
class Dependency:
    """One extension that has to succeed before another one starts."""

    handler: str
    extension: Optional[str] = None


@dataclass(frozen=True)
class Settings:
    """One configuration of a handler; `name` is None except for a multi-config handler."""

    seq_no: int = 0
    public: Any = None
    protected: Any = None
    name: Optional[str] = None
    state: str = ENABLED
    level: int = 0
    depends_on: tuple[Dependency, ...] = ()


@dataclass(frozen=True)
class Extension:
    """One handler in the goal state, with the versions that its manifest offers."""

    name: str
    version: str = "1.0.0"
    state: str = ENABLED
    settings: tuple[Settings, ...] = (Settings(),)
    multi_config: bool = False
    published: tuple[str, ...] = ()
    signature: str = ""
    manifest_options: tuple[tuple[str, Any], ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that the extension's manifest lists."""
        return tuple(dict.fromkeys((*self.published, self.version)))


@dataclass(frozen=True)
class AgentFamily:
    """The guest agent as the goal state offers it; None leaves an element out."""

    name: str = "Prod"
    version: Optional[str] = None
    from_version: Optional[str] = None
    from_rsm: Optional[bool] = None
    vm_enabled: Optional[bool] = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class JitUser:
    """A just-in-time account; the password is plain here and enveloped on the wire."""

    name: str
    password: str
    expiration: str = "Fri, 31 Dec 2100 10:00:00 GMT"
    groups: tuple[str, ...] = ("Administrators",)


def ticks_of(revision: int) -> int:
    """The moment of a revision in .NET ticks: one second after the one before."""
    return 638852747570627097 + revision * 10_000_000


@dataclass(frozen=True)
class ExtensionGoal:
    """Extensions as one control plane wrote them at one moment."""

    extensions: tuple[Extension, ...] = ()
    families: tuple[AgentFamily, ...] = (AgentFamily("Prod"),)
    created_ticks: int = ticks_of(1)
    in_svd_seq_no: int = 1
    required_features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """What the machine is called in Azure; the same for all its life."""

    name: str = "fabric-vm"
    vm_id: str = "9f7e2c10-5b6d-4e0a-8c3f-2a1b0c9d8e7f"
    deployment_id: str = "4c1d6b7e-2f3a-4859-9b0c-1d2e3f405162"
    subscription_id: str = "0d9c8b7a-6f5e-4d3c-8b2a-190817263544"
    resource_group: str = "fabric-rg"
    location: str = "fabricregion"
    publisher: str = "Debian"
    offer: str = "debian-12"
    sku: str = "12-gen2"
    image_version: str = "0.20250601.2133"
    vm_size: str = "Standard_B2s"
    private_ip: str = "10.0.0.4"
    mac_address: str = "000D3A3382E8"

    @property
    def role_instance(self) -> str:
        """The InstanceId of the goal state."""
        return f"{self.deployment_id}.{self.role_name}"

    @property
    def role_name(self) -> str:
        """The role's name; Azure puts an underscore before the machine's name."""
        return "_" + self.name


@dataclass(frozen=True)
class Vm:
    """Everything the fabric says about the machine at this moment."""

    identity: Identity = field(default_factory=Identity)
    incarnation: int = 1
    containers: tuple[str, ...] = ("2f6c7a1e-9d84-4b53-a0e7-5c1b3d9f8e60",)
    config_revision: int = 1
    goal: ExtensionGoal = field(default_factory=ExtensionGoal)
    fast_track: str = FAST_TRACK_OFF
    fast_goal: ExtensionGoal = field(default_factory=ExtensionGoal)
    etag: str = "1001"
    users: Optional[tuple[JitUser, ...]] = None
    on_hold: bool = False
    blob_type: str = BLOCK_BLOB
    has_certificates: bool = True
    has_extensions_config: bool = True
    certificate_format: str = "Pkcs7BlobWithPfxContents"
    host_plugin_version: str = "1.0.8.175"

    @property
    def container_id(self) -> str:
        """The container that the machine is in now."""
        return self.containers[-1]

    @property
    def config_name(self) -> str:
        """The name of the role's configuration, as in a real goal state."""
        return self.config_name_of(self.config_revision)

    def config_name_of(self, revision: int) -> str:
        """The configuration's name as it was at a revision."""
        one = self.identity.deployment_id
        return f"{one}.{revision}.{one}.{revision}.{self.identity.role_name}.1.xml"

    @property
    def past_config_names(self) -> frozenset[str]:
        """Names that were right once."""
        return frozenset(self.config_name_of(n) for n in range(1, self.config_revision))

    @property
    def wanted(self) -> ExtensionGoal:
        """The goal that counts now: Fast Track's when it is on."""
        return self.fast_goal if self.fast_track == FAST_TRACK_ON else self.goal


def echo_extension(
    name: str = ECHO, version: str = "1.0.0", *, echo: str = "first", secret: Any = "fabric secret"
) -> Extension:
    """An extension of the echo package with one configuration."""
    protected = None if secret is None else {"secret": secret}
    return Extension(name, version, settings=(Settings(0, {"echo": echo}, protected),))


def first_boot() -> Vm:
    """A machine that boots, becomes Ready and runs one extension with protected settings."""
    goal = ExtensionGoal(extensions=(echo_extension(),))
    return replace(Vm(), goal=goal, fast_goal=goal)
