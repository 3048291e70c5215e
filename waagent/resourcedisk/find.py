"""Which disk is the resource disk: by the VMBus device that it hangs on.

Nothing is read from the disk here. Source: spec DAEMON 2.1.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from waagent.core import files
from waagent.core.clock import Stop
from waagent.core.errors import GuestError
from waagent.core.records import dataclass
from waagent.core.system import System
from waagent.resourcedisk.nodes import await_device

log = logging.getLogger(__name__)

BUS = "/sys/bus/vmbus/devices"
NVME = "/sys/class/nvme"
GEN1_PREFIX = "00000000-0001"
"""IDE controller 0, port 1."""
GEN2_ID = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"
"""The SCSI controller of the disks that come with the VM."""
RESOURCE_LUN = ":1"
"""The end of its SCSI address. On that controller: 0 is the OS disk, 2 the media."""
LOCAL_NVME = "Microsoft NVMe Direct Disk"
MAX_DEPTH = 16
LARGEST = 4096


@dataclass(frozen=True)
class Found:
    """A VMBus device that may have the resource disk, and the disk's kernel name if it has."""

    is_gen1: bool
    name: Optional[str]


def find_disk(system: System, stop: Optional[Stop] = None) -> Optional[str]:
    """The kernel's name of the resource disk (``sdb``), or ``None`` where the VM has none.

    A Gen1 device is there only where its disk is, and is waited for while the driver looks at it.
    """
    log.info("Searching gen1 prefix %s or gen2 %s", GEN1_PREFIX, GEN2_ID)
    candidates = _candidates(system)
    name = _name_of(candidates)
    if name is None and any(found.is_gen1 for found in candidates):
        name = await_device(
            system,
            stop,
            lambda: _name_of(_candidates(system)),
            lambda left: log.info(
                "Waiting for the disk of the VMBus device, %d attempts remaining", left
            ),
        )
    log.info("Found device: %s", name)
    return name


def find_local_nvme(system: System) -> tuple[str, ...]:
    """Local NVMe disks of the VM (``nvme1``): raw by design, and never touched by us."""
    folder = system.path(NVME)
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return tuple(name for name in names if _attribute(system, f"{NVME}/{name}/model") == LOCAL_NVME)


def _candidates(system: System) -> tuple[Found, ...]:
    folder = system.path(BUS)
    try:
        entries = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:  # not on Hyper-V
        return ()
    except OSError as error:
        log.warning("Error getting device for %s or %s: %s", GEN1_PREFIX, GEN2_ID, error)
        return ()
    found = []
    for entry in entries:
        try:
            text = files.read_text(system.path(f"{BUS}/{entry}/device_id"), limit=LARGEST)
            identity = text.strip().strip("{}").lower()
            if identity.startswith(GEN1_PREFIX) or identity == GEN2_ID:
                is_gen1 = identity != GEN2_ID
                place = system.path(f"{BUS}/{entry}")
                found.append(Found(is_gen1, next(_disks(place, any_lun=is_gen1), None)))
        except (OSError, GuestError) as error:  # one that goes away hides no other
            log.warning("Error getting device for %s or %s: %s", GEN1_PREFIX, GEN2_ID, error)
    return tuple(found)


def _name_of(candidates: tuple[Found, ...]) -> Optional[str]:
    return next((found.name for found in candidates if found.name is not None), None)


def _disks(place: Path, *, any_lun: bool) -> Iterator[str]:
    """Disks below a device, in order; links are not followed, which lead all over /sys."""
    for folder, names, _ in os.walk(place):
        names.sort()
        here = Path(folder)
        if len(here.relative_to(place).parts) >= MAX_DEPTH:
            names.clear()
        if not (any_lun or here.name.endswith(RESOURCE_LUN)):
            continue
        if "block" in names:
            yield from sorted(entry.name for entry in (here / "block").iterdir())
        for name in names:
            if name.startswith("block:"):  # kernels that still had it so
                yield name.partition(":")[2]


def _attribute(system: System, path: str) -> str:
    return (files.read_if_there(system.path(path), limit=LARGEST) or "").strip()
