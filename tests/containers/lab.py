"""What a scenario works with: bases, and containers made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.containers.container import Container
from tests.containers.debian import Debian
from tests.demo.namespaces import NetworkNamespace

BOOKWORM = Debian()


@dataclass(frozen=True)
class Lab:
    """The cache of bases; each is made when it is first asked for."""

    cache: Path

    def container(
        self, network: NetworkNamespace, *, base: Debian = BOOKWORM, **facts: Any
    ) -> Container:
        """A container over a base, not yet booted; the rest goes to `Container`."""
        return Container(base.ensure(self.cache), network, **facts)
