"""Which proxy, if any, a request to storage goes through (spec WIRE 2.6, CLI 2.5)."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from typing import Optional
from urllib.parse import urlsplit

from waagent.core.records import dataclass, field

log = logging.getLogger(__name__)

DEFAULT_PORT = 80  # as the documentation says; the reference ignores such a proxy (CLI 2.5)


@dataclass(frozen=True)
class ProxyRules:
    """The configured proxy, else the environment's; the port is 80 where none is given."""

    host: Optional[str] = None
    port: Optional[int] = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Say once, not with each request, which variables cannot be used."""
        for scheme in ("http", "https"):
            if self._variable(scheme) and self._of_environment(scheme) is None:
                log.warning(
                    "The proxy in %s_proxy is not used: it names no host, or a wrong port", scheme
                )

    def choose(self, url: str) -> Optional[str]:
        """The proxy's URL for a request, or ``None`` for a direct one."""
        parts = urlsplit(url)
        if self._is_bypassed(parts.hostname or ""):
            return None
        if self.host:
            return f"http://{self.host}:{self.port or DEFAULT_PORT}"
        return self._of_environment(parts.scheme)

    def _variable(self, scheme: str) -> str:
        name = f"{scheme}_proxy"
        return self.environment.get(name, self.environment.get(name.upper(), ""))

    def _of_environment(self, scheme: str) -> Optional[str]:
        value = self._variable(scheme)
        if not value:
            return None
        try:
            parts = urlsplit(value if "://" in value else f"http://{value}")
            port = DEFAULT_PORT if parts.port is None else parts.port
        except ValueError:
            return None
        if not parts.hostname or not port:
            return None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"http://{host}:{port}"

    def _is_bypassed(self, host: str) -> bool:
        listed = self.environment.get("no_proxy", self.environment.get("NO_PROXY", ""))
        items = [item for item in listed.replace(" ", "").split(",") if item]
        address = _address(host)
        if address is None:
            return any(host.lower().endswith(item.lower()) for item in items)
        return any(item == host or _holds(item, address) for item in items)


def _address(host: str) -> Optional[ipaddress.IPv4Address]:
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        return None


def _holds(item: str, address: ipaddress.IPv4Address) -> bool:
    if "/" not in item:
        return False
    try:
        return address in ipaddress.IPv4Network(item, strict=False)
    except ValueError:
        return False
