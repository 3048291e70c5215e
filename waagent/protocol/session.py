"""All clients of one wire server, put together once: nothing else builds them."""

from __future__ import annotations

from typing import Optional

from waagent.core.context import Context
from waagent.core.http import Transport
from waagent.core.records import dataclass
from waagent.protocol.bundle import Opener
from waagent.protocol.channels import Channels
from waagent.protocol.exchange import Exchange
from waagent.protocol.fast_track import FastTrack
from waagent.protocol.health_service import HealthService
from waagent.protocol.history import History
from waagent.protocol.host import Host, Ways
from waagent.protocol.hostplugin import HostPlugin
from waagent.protocol.imds import Imds
from waagent.protocol.keys import CertificateStore
from waagent.protocol.opener import OpenerBeside, open_in_process
from waagent.protocol.status_upload import StatusUploader
from waagent.protocol.store import Store
from waagent.protocol.wire import Wire


@dataclass(frozen=True)
class Session:
    """What a process says to the fabric, and what it remembers of it."""

    exchange: Exchange
    wire: Wire
    host: Host
    channels: Channels
    uploader: StatusUploader
    health: HealthService
    imds: Imds
    store: Store


def open_session(
    context: Context,
    transport: Transport,
    endpoint: str,
    *,
    keeps_history: bool,
    opener: Optional[Opener] = None,
) -> Session:
    """Clients of the wire server at ``endpoint``; nothing is sent yet.

    ``keeps_history`` is for the one process that writes goal states to disk, the child. ``opener``
    opens certificates; it is this process, with all that it has to import, unless told otherwise.
    """
    clock, events, paths = context.system.clock, context.events, context.paths
    exchange = Exchange(transport, clock, endpoint=endpoint, stop=context.stop)
    wire = Wire(exchange, endpoint, clock)
    health = HealthService(exchange, endpoint, events=events, clock=clock)
    host = Host(wire, HostPlugin(exchange, endpoint), events, health.observe)
    ways = Ways(exchange, host, events, clock, health.observe)
    channels = Channels(ways)
    is_fast = context.conf.debug.enable_fast_track
    store = Store(
        wire=wire,
        host=host,
        channels=channels,
        certificates=CertificateStore(
            wire,
            paths,
            events,
            opener or open_in_process(paths.transport_private),
            stand_by=opener.stand_by if isinstance(opener, OpenerBeside) else None,
            dismiss=opener.dismiss if isinstance(opener, OpenerBeside) else None,
        ),
        fast_track=FastTrack(host, paths, events, clock, is_enabled=is_fast),
        paths=paths,
        events=events,
        history=History(paths, clock) if keeps_history else None,
        clock=clock,
    )
    return Session(
        exchange=exchange,
        wire=wire,
        host=host,
        channels=channels,
        uploader=StatusUploader(ways),
        health=health,
        imds=Imds(exchange),
        store=store,
    )
