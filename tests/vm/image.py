"""A disk image: made from a folder, changed from inside, looked at from outside.

Whatever is mounted is mounted in a namespace of the program that uses it, and goes with it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Optional

from tests.vm.shell import run

SIZE = "3G"
BLOCK = 1 << 20

# What mounts and all that it starts ends with the program here, and its mounts with it.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")

# $1 is the image, $2 an empty folder, $3 a folder to be seen as /mnt; the script is on $4.
INSIDE = r"""
set -eu
mount -o loop "$1" "$2"
mount -t proc proc "$2/proc"
mount -t sysfs -o ro sysfs "$2/sys"
mount -t tmpfs -o mode=0755 tmpfs "$2/run"
mount -t tmpfs -o mode=0755 tmpfs "$2/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 0666 "$2/dev/${node%:*}" c 1 "${node#*:}"
done
ln -s /proc/self/fd "$2/dev/fd"
mkdir "$2/run/lock" "$2/dev/pts" "$2/dev/shm"
mount --bind "$3" "$2/mnt"
rm -f "$2/etc/resolv.conf"
cp /etc/resolv.conf "$2/etc/resolv.conf"
# Services are started by the machine when it boots, never by what installs them here.
printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
chmod 0755 "$2/usr/sbin/policy-rc.d"
code=0
chroot "$2" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
  DEBIAN_FRONTEND=noninteractive /bin/sh -euc "$4" || code=$?
rm -f "$2/usr/sbin/policy-rc.d" "$2/etc/resolv.conf"
exit $code
"""

OUTSIDE = r"""
set -eu
mount -o loop,ro "$1" "$2"
cd "$2"
exec /bin/sh -euc "$3"
"""


class Image:
    """A raw disk with one ext4 file system and no partition table."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, root: Path, path: Path) -> Image:
        """A disk that holds what a folder holds."""
        run("mkfs.ext4", "-q", "-F", "-L", "root", "-d", str(root), str(path), SIZE)
        return cls(path)

    def copy(self, path: Path) -> Image:
        """The same disk once more; what is empty takes no room."""
        run("cp", "--sparse=always", "--reflink=auto", str(self.path), str(path))
        return Image(path)

    def change(self, script: str, given: Optional[Path] = None, log: Optional[Path] = None) -> str:
        """Run a shell script as root of this disk; it sees the folder `given` as /mnt."""
        with _Folder(self.path, "root") as root, _Folder(self.path, "nothing") as nothing:
            shown = given or nothing
            argv = ("/bin/sh", "-c", INSIDE, "change", str(self.path), str(root), str(shown))
            return run(*ALONE, *argv, script, log=log)

    def look(self, script: str) -> str:
        """Run a shell script of this machine in the root folder of this disk, read only."""
        with _Folder(self.path, "root") as root:
            argv = ("/bin/sh", "-c", OUTSIDE, "look", str(self.path), str(root), script)
            return run(*ALONE, *argv)

    def holds(self, secret: bytes) -> int:
        """At how many places of the whole disk some bytes lie, in files or in what they left."""
        found, tail = 0, b""
        with self.path.open("rb") as stream:
            while data := stream.read(BLOCK):
                if data.count(0) < len(data):
                    window = tail + data
                    found += window.count(secret)
                    tail = window[-(len(secret) - 1) :]
                else:
                    tail = b""
        return found


class _Folder:
    """An empty folder beside an image, on which it is mounted."""

    def __init__(self, image: Path, name: str) -> None:
        self._path = image.with_name(f"{image.name}.{name}")

    def __enter__(self) -> Path:
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir()
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.rmdir()
