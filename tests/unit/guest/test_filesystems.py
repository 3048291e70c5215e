"""Why a file system cannot be mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from waagent.guest.filesystems import find_obstacles

KERNEL = {
    "/proc/sys/kernel/osrelease": "6.1.0-9\n",
    "/proc/filesystems": "nodev\tproc\n\text4\n\tiso9660\n",
}
MODULES = "/lib/modules/6.1.0-9/modules.dep"
UDF = {MODULES: "kernel/fs/udf/udf.ko.xz: kernel/lib/crc-itu-t.ko.xz\n"}


@pytest.mark.parametrize(
    "line",
    [
        "blacklist udf",
        "  install   udf /bin/true",
        "install udf /usr/bin/false # CIS 1.1",
        "install udf true",
    ],
)
@pytest.mark.parametrize("folder", ["/etc", "/run", "/usr/lib", "/lib"])
def test_module_that_is_switched_off_says_where(tmp_path: Path, line: str, folder: str) -> None:
    path = f"{folder}/modprobe.d/a.conf"
    guest = Machine(files={**KERNEL, **UDF, path: f"options x\n{line}\n"}).boot(tmp_path)
    (told,) = find_obstacles(guest.system, ["udf", "iso9660"])
    assert (
        told == f'udf is switched off by "{" ".join(line.split())}" in {path}: take that line out'
    )


@pytest.mark.parametrize(
    "line", ["#blacklist udf", "blacklist udfx", "install udf /sbin/modprobe --ignore-install udf"]
)
def test_line_that_switches_nothing_off_is_none(tmp_path: Path, line: str) -> None:
    guest = Machine(files={**KERNEL, **UDF, "/etc/modprobe.d/a.conf": line}).boot(tmp_path)
    (told,) = find_obstacles(guest.system, ["udf"])
    assert told == "the module udf is not loaded: see what modprobe udf says"


@pytest.mark.parametrize("files", [{}, {MODULES: "kernel/fs/xudf.ko: kernel/fs/udf/udf.ko\n"}])
def test_module_that_the_kernel_does_not_have_is_told(
    tmp_path: Path, files: dict[str, str]
) -> None:
    guest = Machine(files={**KERNEL, **files}).boot(tmp_path)
    (told,) = find_obstacles(guest.system, ["udf"])
    assert told == "the kernel 6.1.0-9 has no module udf: install the package with its modules"


def test_file_systems_that_the_kernel_knows_have_no_obstacle(tmp_path: Path) -> None:
    guest = Machine(files=KERNEL).boot(tmp_path)
    assert find_obstacles(guest.system, ["ext4", "iso9660"]) == []
