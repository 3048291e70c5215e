"""What holds for every test: root or a reason to skip, and no skipping at all in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, Union

import pytest

IN_CI = bool(os.environ.get("CI"))
NEEDS_ROOT = "needs root, for mounts, namespaces or other users; run it as root"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need root where we are not root, and say why."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_ROOT))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """In CI a skipped test is a failed one."""
    _refuse_skip((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, None]:
    """In CI a skipped module is a failed one."""
    _refuse_skip((yield).get_result())


def _refuse_skip(report: Union[pytest.TestReport, pytest.CollectReport]) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
