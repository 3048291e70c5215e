"""The way of this process to the network: our name, the configured proxy, the address book."""

from __future__ import annotations

from waagent.core.context import Context
from waagent.core.http import HttpTransport, Transport
from waagent.core.proxy import ProxyRules
from waagent.core.version import AGENT_NAME, AGENT_VERSION


def make_transport(context: Context) -> Transport:
    """The transport of this process: our name, the configured proxy, the address book."""
    proxy = context.conf.http_proxy
    return HttpTransport(
        user_agent=f"{AGENT_NAME}/{AGENT_VERSION}",
        clock=context.system.clock,
        proxy=ProxyRules(proxy.host, proxy.port_in_use, context.system.environment),
        addresses=context.addresses,
        stop=context.stop,
    )
