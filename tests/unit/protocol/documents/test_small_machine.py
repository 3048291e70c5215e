"""A document that the machine has no memory for is refused like any other that cannot be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[4]
ROOM = 48 * 1024 * 1024
PROGRAM = f"""
import resource, sys
from waagent.core.errors import DocumentError
from waagent.protocol.documents.extensions import parse_extensions_config
from waagent.protocol.documents.vm_settings import parse_vm_settings
parse, data = {{
    "json": (parse_vm_settings, b"[" + b"[]," * 5_000_000 + b"0]"),
    "xml": (parse_extensions_config, b"<a>" + b"<b/>" * 4_000_000 + b"</a>"),
}}[sys.argv[1]]
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + {ROOM},) * 2)
try:
    parse(data)
except DocumentError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_document_that_does_not_fit_in_memory_is_a_document_error(kind: str) -> None:
    """In a process of its own, whose memory is limited by the kernel."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("cannot read ")
    assert "memory" in done.stdout or kind == "xml", "libxml2 may say only that it failed"
