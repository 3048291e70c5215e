"""NetworkManager has the link, and its name is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.containers.lab import Lab
from tests.containers.publishing import Story, tell
from tests.containers.segment import Segment
from tests.support.findings import Finding


def play(lab: Lab) -> Iterator[Finding]:
    """It asks for its address again with the name; without nmcli the server is told by us."""
    with (
        Segment() as segment,
        lab.container(segment.guest, prepare="systemctl enable -q NetworkManager") as container,
    ):
        yield from tell(Story(segment, container, "NetworkManager"))

    broken = "printf '#!/bin/sh\\necho no bus >&2; exit 8\\n' >/usr/bin/nmcli"
    with (
        Segment() as segment,
        lab.container(
            segment.guest, prepare=f"systemctl enable -q NetworkManager; {broken}"
        ) as container,
    ):
        for finding in tell(Story(segment, container, "NetworkManager", warns="no bus")):
            yield replace(finding, what=f"nmcli fails: {finding.what}")
