"""A container: an overlay over a base, a network that leads nowhere else, and its own init.

What it mounts is mounted in a namespace of its own and goes with it; its changes are in memory.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional, Union

from tests.containers.spawn import NSPAWN, VARIABLES, Group
from tests.demo.namespaces import NetworkNamespace
from tests.vm.inside import Finished

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SOURCE = "/opt/waagent"  # where a container sees this checkout, read only
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "TERM=dumb")
UP_WITHIN_S = 60.0
END_WITHIN_S = 10.0
POLL_S = 0.05
# What nspawn gives to containers whose networks it makes itself.
CAPABILITIES = "CAP_NET_ADMIN,CAP_NET_RAW"

# $1 is an empty folder, $2 the layers; the script $3 is run in the container before it boots.
BOOT = r"""
folder=$1 layers=$2 prepare=$3
shift 3
mount -t tmpfs -o size=1G,mode=0755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=$layers,upperdir=$folder/upper,workdir=$folder/work" \
  "$folder/root"
if [ -n "$prepare" ]; then
  "$@" --as-pid2 /bin/sh -euc "$prepare"
fi
: >"$folder.prepared"
"""

Text = Union[str, bytes]


class ContainerFailed(Exception):
    """The container is gone, or did not do what was waited for; the message says what."""


class Container:
    """A Debian that boots by its own init. `files` lie over the base, `prepare` is run before.

    `network` is the namespace that it lives in. `init` is the command line of its first process;
    nspawn's own search, which finds systemd, is used when it is empty.
    """

    def __init__(
        self,
        base: Path,
        network: NetworkNamespace,
        *,
        files: Optional[Mapping[str, Text]] = None,
        prepare: str = "",
        init: Sequence[str] = (),
        binds: Optional[Mapping[Path, str]] = None,
    ) -> None:
        self._base, self._network = base, network
        self._files, self._prepare = dict(files or {}), prepare
        self._init = tuple(init)
        self._binds = {CHECKOUT: SOURCE, **(binds or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="waagent-container-"))
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._group = Group()
        self._first = 0

    def __enter__(self) -> Container:
        try:
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def console(self) -> str:
        """All that the container wrote to its console."""
        path = self._folder / "console"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def run(self, *argv: str, given: str = "", within_s: float = 60.0) -> Finished:
        """Run a program in the container as root, to its end."""
        words = self._entered("--pid", "env", "-i", *ENVIRONMENT, *argv)
        try:
            done = subprocess.run(
                words, input=given, capture_output=True, text=True, errors="replace",
                timeout=within_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as e:
            raise ContainerFailed(f"{' '.join(argv)[:80]} did not end in {within_s:g} s") from e
        return Finished(done.returncode, done.stdout, done.stderr)

    def must(self, *argv: str, given: str = "", within_s: float = 60.0) -> str:
        """Run a program that has to succeed, and return what it printed."""
        done = self.run(*argv, given=given, within_s=within_s)
        if done.code:
            raise ContainerFailed(f"{' '.join(argv)[:80]} ended with {done.code}: {done.said}")
        return done.output

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a program in the container's view and network that whoever asks has to end.

        It is in this machine's process namespace, so that ending it here ends it.
        """
        return subprocess.Popen(
            self._entered("env", "-i", *ENVIRONMENT, *argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def python(self, program: str, *words: str, within_s: float = 60.0) -> Finished:
        """Run a program of Python's with this checkout's packages, in the container's Python."""
        paths = (f"PYTHONPATH={SOURCE}", "PYTHONDONTWRITEBYTECODE=1")
        argv = ("env", *paths, "python3", "-c", program, *words)
        return self.run(*argv, within_s=within_s)

    def read(self, name: str) -> str:
        """A file of the container as text; empty where there is none."""
        return self.run("cat", name).output

    def await_that(self, what: str, holds: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until something holds in the container; the message says what was waited for."""
        limit = time.monotonic() + within_s
        while not holds():
            if self._process is not None and self._process.poll() is not None:
                raise ContainerFailed(f"the container ended before {what}: {self.console[-600:]}")
            if time.monotonic() > limit:
                raise ContainerFailed(f"not within {within_s:g} s: {what}")
            threading.Event().wait(POLL_S)

    def await_address(self, address: str, device: str = "eth0", within_s: float = 30.0) -> None:
        """Wait until an interface has an address that begins so."""

        def has_it() -> bool:
            shown = self.run("ip", "-4", "-o", "address", "show", "dev", device).output
            return f"inet {address}" in shown

        self.await_that(f"{device} has the address {address}", has_it, within_s)

    def close(self) -> None:
        """End it, as when the power is cut, and remove what it stood on."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()  # the kernel kills its init with it, and all that is below
            self._process.wait(END_WITHIN_S)
            self._process = None
            self._group.remove()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _boot(self) -> None:
        layer, place = self._folder / "layer", self._folder / "place"
        place.mkdir()
        layer.mkdir(mode=0o755)
        for name, content in self._files.items():
            path = layer / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        own = Path("/proc/self/fd") / str(self._network.descriptor)
        # From the start in its network: what nspawn mounts at /sys shows the interfaces of there.
        spawn = [
            *("nsenter", f"--net={own}", "env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network"),
            *(*NSPAWN, *VARIABLES, "-D", str(place / "root"), "--resolv-conf=off"),
            f"--capability={CAPABILITIES}",
            *(f"--bind-ro={here}:{there}" for here, there in self._binds.items()),
        ]
        script = BOOT + '"$@" ' + ("--boot" if not self._init else shlex.join(self._init))
        words = (str(place), f"{layer}:{self._base}", self._prepare, *spawn)
        with (self._folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                self._group.command(script, *words),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(self._network.descriptor,),
                start_new_session=True,
            )
        self.await_that("its first process runs", self._has_begun, UP_WITHIN_S)

    def _has_begun(self) -> bool:
        """Whether the container's init has its own root; finds it once it has."""
        assert self._process is not None
        if (self._folder / "place.prepared").exists():
            self._first = _find_first(self._process.pid) or 0
        return bool(self._first)

    def _entered(self, *words: str) -> list[str]:
        ways = ("--mount", "--uts", "--ipc", "--net")
        return ["nsenter", f"--target={self._first}", *ways, *words]


def _find_first(pid: int) -> Optional[int]:
    """The process below nspawn that is number 1 in a namespace of processes, and no nspawn more."""
    for child in _children(pid):
        numbers = _field(child, "NSpid").split()
        if len(numbers) > 2 and numbers[-1] == "1":  # ours, the view's, its own
            return child if b"nspawn" not in _command(child) else None
        below = _find_first(child)
        if below:
            return below
    return None


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"nspawn"  # it has ended


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _field(pid: int, name: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((x.partition(":")[2] for x in lines if x.startswith(f"{name}:")), "")
