"""RDMA at the start of the daemon: the driver first, then the device (spec DAEMON 9).

Whatever fails is one line in the log: the machine boots on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Callable, Optional

from waagent.core import files
from waagent.core.context import Context
from waagent.core.errors import AgentError, GuestError, describe
from waagent.core.system import System
from waagent.guest.release import read_release
from waagent.protocol.documents.shared_config import SharedConfig
from waagent.rdma import devices, drivers
from waagent.rdma.texts import parse_ipoib_data, parse_kvp_pool

log = logging.getLogger(__name__)

POOL = "/var/lib/hyperv/.kvp_pool_0"
LARGEST = 16 * 1024 * 1024
VERSION = "NdDriverVersion"
PAIRS = "IPoIB_Data"

Fetch = Callable[[], SharedConfig]
"""Asks the fabric anew for the shared config."""


def set_up_rdma(context: Context, fetch: Fetch) -> None:
    """Do what the keys ask for; what a command, a file or the fabric can cause is not raised."""
    told = _read_pool(context.system)
    version = told.get(VERSION)
    if not version:
        log.error("RDMA: the host tells no %s", VERSION)
    try:
        _install_driver(context, version)
    except (AgentError, OSError) as error:
        log.error("RDMA: cannot install the driver: %s", describe(error))
    log.info("RDMA capabilities are enabled in configuration")
    try:
        _set_up_device(context, fetch, version, told.get(PAIRS))
    except (AgentError, OSError) as error:
        log.error("Error setting up rdma device: %s", describe(error))


def _read_pool(system: System) -> Mapping[str, str]:
    """What the host has told of itself; nothing where it cannot be read."""
    try:
        return parse_kvp_pool(files.read(system.path(POOL), limit=LARGEST))
    except (OSError, GuestError) as error:
        log.error("RDMA: cannot read what the host tells: %s", describe(error))
        return {}


def _install_driver(context: Context, version: Optional[str]) -> None:
    if not version:
        log.info("RDMA: skip installing driver when ndversion not present")
        return
    if not context.conf.os.may_check_rdma_driver:
        log.info("RDMA: check RDMA driver is disabled, skip installing driver")
        return
    release = read_release(context.system)
    install = drivers.find_install(release)
    if install is None:
        raise GuestError(f'nothing is known of "{release.full_name}"')
    install(context, release, version)


def _set_up_device(
    context: Context, fetch: Fetch, version: Optional[str], pairs: Optional[str]
) -> None:
    shared = fetch()
    if shared.rdma_ipv4 is None or shared.rdma_mac is None:
        raise GuestError("the fabric gave this machine no rdmaIPv4Address or no rdmaMacAddress")
    log.info("Found RDMA details. IPv4=%s MAC=%s", shared.rdma_ipv4, shared.rdma_mac)
    try:
        if version:
            devices.set_up_network_direct(context, shared.rdma_ipv4, shared.rdma_mac)
        elif pairs is not None:
            devices.set_up_by_pairs(context, parse_ipoib_data(pairs))
        else:
            devices.set_up_sriov(context, shared.rdma_ipv4)
    except (AgentError, OSError) as error:
        log.error("RDMA: device processing failed: %s", describe(error))
        return
    log.info("RDMA: device is set up")
