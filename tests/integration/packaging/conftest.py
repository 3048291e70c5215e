"""Packages, built once a session; where the tools are missing their tests say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.packaging import deb, rpm
from tools.packaging.families import REDHAT


@pytest.fixture(scope="session")
def debian_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for Debian."""
    if shutil.which("dh") is None or shutil.which("dh_python3") is None:
        pytest.skip("needs debhelper and dh-python: install them, or run `make deb` as root once")
    return deb.build("debian", tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def redhat_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for Red Hat's family."""
    if shutil.which("rpmbuild") is None:
        pytest.skip("needs rpmbuild: install Debian's package rpm")
    return rpm.build(REDHAT, tmp_path_factory.mktemp("rpm"))
