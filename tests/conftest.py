"""What holds for every test: root or a reason to skip, no skipping at all in CI, no hoarding."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Union

import pytest

IN_CI = bool(os.environ.get("CI"))
NEEDS_ROOT = "needs root, for mounts, namespaces or other users; run it as root"
MANY_DESCRIPTORS = 200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need root where we are not root, and say why."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_ROOT))


def pytest_runtest_logfinish() -> None:
    """Give back what ended tests still hold, before there are so many that opening one fails."""
    if sum(1 for _ in Path("/proc/self/fd").iterdir()) > MANY_DESCRIPTORS:
        gc.collect()


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
