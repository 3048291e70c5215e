"""A handler that writes down when each command begins and ends, and may kill the agent within."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.fabric.echo import archive, manifest

NAME = "Fabric.Kill"
OTHER = "Fabric.Other"

# `strike` names the command that kills the agent; it goes on when the agent that waits may.
SCRIPT = r"""#!/bin/sh
root=$(cd ../../../.. && pwd)
prefix=${ConfigExtensionName:+$ConfigExtensionName.}$ConfigSequenceNumber
call="$1 $AZURE_GUEST_AGENT_EXTENSION_VERSION $prefix"
mkdir "$root/busy" 2>/dev/null || echo "beside another: $call" >>"$root/calls"
echo "begin $call" >>"$root/calls"
if [ "$(cat "$root/strike" 2>/dev/null)" = "$call" ]; then
    rm "$root/strike"
    kill -9 "$(cat "$root/agent.pid")"
    n=0; while [ ! -e "$root/go-on" ] && [ $n -lt 2400 ]; do sleep 0.05; n=$((n + 1)); done
fi
if [ "$1" = enable ]; then
    printf '[{"version": 1.0, "status": {"operation": "Enable", "status": "success", "code": 0,
        "formattedMessage": {"lang": "en-US", "message": "%s"}}}]' "$call" >"status/$prefix.tmp"
    mv "status/$prefix.tmp" "status/$prefix.status"
    echo "$prefix" >mrseq
fi
echo "end $call" >>"$root/calls"
rmdir "$root/busy"
"""
# Half of the package has to be more than the agent waits for before it writes any of it.
FILLING = random.Random(5).randbytes(400_000)


def package(**options: Any) -> bytes:
    """The zip; options are those of ``handlerManifest``."""
    item = manifest(**options)
    return archive(
        {
            "HandlerManifest.json": json.dumps([item]).encode(),
            "bin/handler.sh": SCRIPT.encode(),
            "bin/filling": FILLING,
        }
    )
