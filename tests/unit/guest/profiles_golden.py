"""Every os-release sample with the profile that the table gives it, as text.

After a change that is meant, its output becomes tests/data/profiles.txt:
``python -m tests.unit.guest.profiles_golden``
"""

from __future__ import annotations

from dataclasses import fields

from tests.support.machine import DATA
from waagent.guest.profile import DhcpClient, Profile
from waagent.guest.profiles import profile_of
from waagent.guest.release import parse_os_release


def render_all() -> str:
    """One paragraph for each sample, in the order of their names."""
    samples = sorted((DATA / "os-release").iterdir())
    return "\n".join(_render(sample.name, sample.read_text(encoding="utf-8")) for sample in samples)


def _render(sample: str, text: str) -> str:
    release = parse_os_release(text)
    profile = profile_of(release)
    head = f"{sample}: {release.name} {release.version} {release.codename}".rstrip()
    return "\n".join([head, *(f"  {line}" for line in _lines(profile))]) + "\n"


def _lines(profile: Profile) -> list[str]:
    return [f"{field.name} = {_text(getattr(profile, field.name))}" for field in fields(profile)]


def _text(value: object) -> str:
    if isinstance(value, DhcpClient):
        patterns = [pattern for source in value.leases for pattern in source.patterns]
        return " ".join([value.process, *patterns])
    if isinstance(value, tuple):
        return " ".join(str(getattr(each, "value", each)) for each in value)
    return str(value)


if __name__ == "__main__":
    print(render_all(), end="")
