"""The artifacts profile: whether extensions are on hold (spec WIRE 11.1)."""

from __future__ import annotations

from waagent.core.records import dataclass
from waagent.protocol.documents.json_fields import Fields, parse_json


@dataclass(frozen=True)
class ArtifactsProfile:
    """The one thing of it that is used."""

    on_hold: bool


def parse_artifacts_profile(data: bytes) -> ArtifactsProfile:
    """The profile; nothing at all means not on hold, and a page blob's padding is no content."""
    content = data.strip(b"\x00 \t\r\n")
    if not content:
        return ArtifactsProfile(on_hold=False)
    fields = Fields(parse_json(content, "the artifacts profile"), "the artifacts profile")
    value = fields.value("onHold")
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise fields.error("true or false is expected", "onHold")
    return ArtifactsProfile(on_hold=bool(value))
