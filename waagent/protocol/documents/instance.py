"""What the metadata service says of this instance: fields for telemetry, and whether it is whole.

Only documents; the client is ``protocol.imds``. Source: spec WIRE 10.2 and 10.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from waagent.core.errors import DocumentError
from waagent.core.records import dataclass
from waagent.core.version import Version
from waagent.protocol.documents.json_fields import Fields, parse_json

UNDETERMINED, CUSTOM, ENDORSED, PLATFORM = range(4)


@dataclass(frozen=True)
class Compute:
    """Where and from what image the machine runs; ``None`` is what the service does not say."""

    location: Optional[str]
    subscription_id: Optional[str]
    resource_group: Optional[str]
    vm_id: Optional[str]
    publisher: Optional[str]
    offer: Optional[str]
    sku: Optional[str]
    version: Optional[str]

    @property
    def image_origin(self) -> int:
        """Custom, endorsed or platform image; 0 when there is too little to tell."""
        if self.publisher == "":
            return CUSTOM
        if self.publisher is None or self.offer is None or self.sku is None:
            return UNDETERMINED
        here = (self.publisher.upper(), self.offer.upper())
        rules = [rule for rule in _ENDORSED if (rule.publisher, rule.offer) == here]
        is_endorsed = any(rule.fits(self.sku, self.version or "") for rule in rules)
        return ENDORSED if is_endorsed else PLATFORM

    def parameters(self) -> dict[str, Any]:
        """What is known, under the names of ``CommonParameters``."""
        known = {
            "location": self.location,
            "subscription_id": self.subscription_id,
            "resource_group": self.resource_group,
            "vm_id": self.vm_id,
        }
        return {
            **{name: value for name, value in known.items() if value is not None},
            "image_origin": self.image_origin,
        }


def parse_compute(data: bytes) -> Compute:
    """The fields that telemetry uses; others are ignored."""
    fields = Fields(parse_json(data, "metadata"), "metadata")
    return Compute(
        location=fields.maybe_text("location"),
        subscription_id=fields.maybe_text("subscriptionId"),
        resource_group=fields.maybe_text("resourceGroupName"),
        vm_id=fields.maybe_text("vmId"),
        publisher=fields.maybe_text("publisher"),
        offer=fields.maybe_text("offer"),
        sku=fields.maybe_text("sku"),
        version=fields.maybe_text("version"),
    )


_REQUIRED: tuple[tuple[object, ...], ...] = (
    ("network",),
    ("network", "interface"),
    ("network", "interface", 0, "macAddress"),
    ("network", "interface", 0, "ipv4"),
    ("network", "interface", 0, "ipv4", "ipAddress"),
    ("network", "interface", 0, "ipv4", "ipAddress", 0, "privateIpAddress"),
)


def find_instance_fault(data: bytes) -> Optional[str]:
    """What is wrong with an instance document, or ``None`` when the service does its work."""
    try:
        document = parse_json(data, "metadata")
    except DocumentError as error:
        return f"JSON parsing failed: {error}"
    for path in _REQUIRED:
        value = _follow(document, path)
        if value is _ABSENT:
            return f"Missing field: [{_spell(path)}]"
        if value is None or value in ("", [], {}):
            return f"Empty field: [{_spell(path)}]"
    return None


_ABSENT = object()


def _follow(value: Any, path: Sequence[object]) -> Any:
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part, _ABSENT)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return _ABSENT
    return value


def _spell(path: Sequence[object]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")


@dataclass(frozen=True)
class _Rule:
    """One kind of endorsed image: a sku that is listed, or new enough."""

    publisher: str
    offer: str
    skus: tuple[str, ...] = ()
    least_sku: Optional[str] = None
    least_version: Optional[str] = None

    def fits(self, sku: str, version: str) -> bool:
        """Whether an image of this publisher and offer is endorsed."""
        if self.least_version is not None:  # the sku is a level of its own, whatever its case
            return sku.upper() in self.skus and _is_at_least(version, self.least_version)
        if sku in self.skus:
            return True
        return self.least_sku is not None and _is_at_least(sku, self.least_sku)


def _is_at_least(text: str, least: str) -> bool:
    try:
        return Version(text) >= Version(least)
    except ValueError:
        return False


def _packs(major: int, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{major}-SP{pack}" for pack in range(first, last + 1))


_SLES = (*_packs(11, 4, 6), *_packs(12, 1, 6))
_SLES_PRIORITY = ("11-SP4", "12", *_packs(12, 1, 5), "15", *_packs(15, 1, 5))
_UBUNTU_TRUSTY = tuple(f"14.04.{patch}-LTS" for patch in range(9))
_UBUNTU = (
    *_UBUNTU_TRUSTY,
    "16.04-LTS",
    "16.04.0-LTS",
    "18.04-LTS",
    "20.04-LTS",
    "22.04-LTS",
)
_RED_HAT_SPECIAL = ("RHEL-HANA", "RHEL-SAP", "RHEL-SAP-APPS", "RHEL-SAP-HANA")

_ENDORSED = (
    _Rule("CANONICAL", "UBUNTUSERVER", _UBUNTU),
    _Rule("COREOS", "COREOS", ("STABLE",), least_version="494.4.0"),
    _Rule("CREDATIV", "DEBIAN", least_sku="7"),
    _Rule("OPENLOGIC", "CENTOS", ("7-LVM", "7-RAW"), least_sku="6.3"),
    _Rule("OPENLOGIC", "CENTOS-HPC", least_sku="6.3"),
    _Rule("REDHAT", "RHEL", ("7-LVM", "7-RAW"), least_sku="6.7"),
    *(_Rule("REDHAT", offer, least_sku="6.7") for offer in _RED_HAT_SPECIAL),
    _Rule("SUSE", "SLES", _SLES),
    _Rule("SUSE", "SLES-BYOS", _SLES_PRIORITY),
    _Rule("SUSE", "SLES-SAP", _SLES_PRIORITY),
    _Rule("SUSE", "SLE-HPC", _packs(15, 1, 5)),
)
