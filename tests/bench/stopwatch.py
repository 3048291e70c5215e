"""Runs in the guest, from standard input: how long commands take, one after the other, in turns.

The arguments are the number of turns and the commands, each one word for a shell's `exec`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def time_once(command: str) -> float:
    """The wall time of one run, in seconds."""
    started = time.perf_counter()
    subprocess.run(
        ["/bin/sh", "-c", f"exec {command}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def main(argv: list[str]) -> int:
    """Print a list of times for each command."""
    turns, commands = int(argv[0]), argv[1:]
    times: dict[str, list[float]] = {command: [] for command in commands}
    for _ in range(turns):
        for command in commands:
            times[command].append(time_once(command))
    json.dump(times, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
