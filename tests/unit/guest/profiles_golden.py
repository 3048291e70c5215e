"""Every os-release sample with the profile that the table gives it, as text.

A sample is an os-release file, or a folder that holds all that a release is read from. After a
change that is meant: ``python -m tests.unit.guest.profiles_golden --write``
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.machine import DATA
from waagent.core.rooted import Rooted
from waagent.guest.profile import DhcpClient, Profile
from waagent.guest.profiles import profile_of
from waagent.guest.release import Release, read_release

SAMPLES = DATA / "os-release"
GOLDEN = DATA / "profiles.txt"


def sample_names() -> list[str]:
    """Every sample, sorted."""
    return sorted(sample.name for sample in SAMPLES.iterdir())


def read_sample(name: str) -> Release:
    """The distribution that a guest with these files is."""
    sample = SAMPLES / name
    if sample.is_dir():
        return read_release(Rooted(sample))
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / "etc").mkdir()
        (root / "etc/os-release").write_bytes(sample.read_bytes())
        return read_release(Rooted(root))


def render_all() -> str:
    """One paragraph for each sample, in the order of their names."""
    return "\n".join(_render(name, read_sample(name)) for name in sample_names())


def _render(sample: str, release: Release) -> str:
    described = f"{release.name} {release.version}".rstrip()
    codename = f" ({release.codename})" if release.codename else ""
    like = f", like {' '.join(release.like)}" if release.like else ""
    head = f"{sample}: {described}{codename}{like}"
    return "\n".join([head, *(f"  {line}" for line in _lines(profile_of(release)))]) + "\n"


def _lines(profile: Profile) -> list[str]:
    shown = [(field.name, _text(getattr(profile, field.name))) for field in fields(profile)]
    return [f"{name} = {text}".rstrip() for name, text in shown]


def _text(value: object) -> str:
    if isinstance(value, DhcpClient):
        patterns = [pattern for source in value.leases for pattern in source.patterns]
        return " ".join([value.process, *patterns])
    if isinstance(value, tuple):
        return " ".join(str(getattr(each, "value", each)) for each in value)
    return str(value)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GOLDEN.write_text(render_all(), encoding="utf-8")
    else:
        print(render_all(), end="")
