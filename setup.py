"""Packaging of the agent: what is installed, and what it needs at run time."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# The floors are the releases of Ubuntu 22.04; tests/requirements/oldest.txt tests with them.
REQUIREMENTS = (
    "asn1crypto>=1.4.0",
    "cryptography>=3.4.8",
    "lxml>=4.8.0",
    "psutil>=5.9.0",
    "pyudev>=0.22.0",
    "urllib3>=1.26.5",
)


def read_version() -> str:
    """The agent's version, read as text so that nothing of the agent is imported."""
    text = (HERE / "waagent/core/version.py").read_text(encoding="utf-8")
    found = re.search(r'^AGENT_VERSION = "([0-9.]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("cannot find AGENT_VERSION in waagent/core/version.py")
    return found.group(1)


if __name__ == "__main__":
    setup(
        name="waagent",
        version=read_version(),
        description="The Azure Linux guest agent",
        long_description=(HERE / "README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        python_requires=">=3.9",
        packages=find_packages(include=["waagent", "waagent.*"]),
        scripts=["bin/waagent"],
        install_requires=list(REQUIREMENTS),
    )
