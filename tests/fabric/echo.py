"""The echo extension: a real handler package that records its calls and repeats its settings.

Public settings: `echo` (the text to repeat), `exit` (the code of enable), `pause` (seconds that
enable takes), `status` (what it reports), `silent` (write no status), `leave` (seconds that a
process which it leaves behind lives). It reads what an extension is promised."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

_COMMANDS = ("install", "enable", "disable", "update", "uninstall")

SCRIPT = r"""#!/bin/sh
# The fabric emulator's echo handler; the only argument is the operation.
operation="$1"
home=$(cd "$(dirname "$0")/.." && pwd)
lib=$(dirname "$home")
folder=$(basename "$home")
name=${folder%-*}
version=${folder##*-}
calls="$lib/../../log/extension-calls.txt"
[ -d "$lib/../../log" ] || calls="$lib/extension-calls.txt"

{
    printf '== %s handler=%s version=%s t=%s\n' "$operation" "$name" "$version" \
        "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf 'cwd=%s\n' "$(pwd)"
    printf 'uid=%s ppid_comm=%s umask=%s nice=%s\n' "$(id -u)" \
        "$(cat /proc/$PPID/comm 2>/dev/null)" "$(umask)" "$(nice 2>/dev/null)"
    printf 'cgroup=%s\n' "$(tr '\n' ' ' 2>/dev/null </proc/self/cgroup)"
    printf 'args=%s\n' "$*"
    env | grep -E '^(AZURE_|Config|LANG=|PATH=)' | sort | sed 's/^/env /'
} >>"$calls"

echo "fabric stdout of $operation"
echo "fabric stderr of $operation" >&2

text_of() { # the text of one JSON member of a file; escapes are not undone
    tr '\n' ' ' <"$2" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p'
}
number_of() {
    tr '\n' ' ' <"$2" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*\([0-9][0-9.]*\).*/\1/p'
}

if [ ! -f HandlerEnvironment.json ]; then
    echo "no HandlerEnvironment.json in $(pwd)" >&2
    exit 51
fi
place_of() { # a folder of HandlerEnvironment.json, or its usual place when the root is another
    folder=$(text_of "$1" HandlerEnvironment.json)
    if [ -d "$folder" ]; then echo "$folder"; else
        echo "unreachable $1=$folder" >>"$calls"
        echo "$home/$2"
    fi
}

case "$operation" in
    enable) ;;
    install|disable|update|uninstall|reset) exit "${ECHO_EXIT:-0}" ;;
    *) echo "unknown operation $operation" >&2; exit 52 ;;
esac

sequence="$ConfigSequenceNumber"
prefix="$sequence"
[ -z "$ConfigExtensionName" ] || prefix="$ConfigExtensionName.$sequence"
settings="$(place_of configFolder config)/$prefix.settings"
status_folder="$(place_of statusFolder status)"
if [ ! -f "$settings" ]; then
    echo "no settings file $settings" >&2
    exit 53
fi
printf 'settings_mode=%s\n' "$(stat -c %a:%U "$settings")" >>"$calls"

secret=none
sealed=$(text_of protectedSettings "$settings")
if [ -n "$sealed" ]; then
    thumb=$(text_of protectedSettingsCertThumbprint "$settings")
    plain=$(printf '%s' "$sealed" | base64 -d | openssl cms -decrypt -inform DER \
        -recip "$lib/$thumb.crt" -inkey "$lib/$thumb.prv") || exit 54
    secret=$(printf '%s' "$plain" \
        | sed -n 's/.*"secret"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' \
        | tr -d '\n' | sha256sum | cut -d' ' -f1)
fi

pause=$(number_of pause "$settings")
[ -z "$pause" ] || sleep "$pause"
leave=$(number_of leave "$settings")
[ -z "$leave" ] || setsid sleep "$leave" >/dev/null 2>&1 &
code=$(number_of exit "$settings")
status=$(text_of status "$settings")
if [ -z "$status" ]; then
    status=success
    [ "${code:-0}" -eq 0 ] || status=error
fi
number=0
[ "$status" != error ] || number=12
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if ! grep -q '"silent"[[:space:]]*:[[:space:]]*true' "$settings"; then
    cat >"$status_folder/$prefix.status.tmp" <<END
[{"version": 1.0, "timestampUTC": "$now", "status": {"name": "${ConfigExtensionName:-$name}",
 "operation": "Enable", "configurationAppliedTime": "$now", "status": "$status", "code": $number,
 "formattedMessage": {"lang": "en-US",
  "message": "echo=$(text_of echo "$settings") secret_sha256=$secret"},
 "substatus": [{"name": "sub", "status": "success", "code": 0,
  "formattedMessage": {"lang": "en-US", "message": "sub message"}}]}}]
END
    mv "$status_folder/$prefix.status.tmp" "$status_folder/$prefix.status"
fi
exit "${code:-0}"
"""


def manifest(**options: Any) -> dict[str, Any]:
    """HandlerManifest.json's only item; options replace or add members of `handlerManifest`."""
    commands: dict[str, Any] = {f"{c}Command": f"bin/handler.sh {c}" for c in _COMMANDS}
    commands["resetStateCommand"] = "bin/handler.sh reset"
    return {
        "name": "FabricEcho",
        "version": 1.0,
        "handlerManifest": {
            **commands,
            "rebootAfterInstall": False,
            "reportHeartbeat": False,
            "updateMode": "UpdateWithInstall",
            "supportsMultipleExtensions": True,
            **options,
        },
    }


def package(version: str, **options: Any) -> bytes:
    """The zip of the echo handler in one version."""
    return archive(
        {
            "HandlerManifest.json": json.dumps([manifest(**options)], indent=2).encode(),
            "bin/handler.sh": SCRIPT.encode(),
            "version.txt": f"{version}\n".encode(),
        }
    )


def agent_package(version: str) -> bytes:
    """An agent package whose agent writes one line and waits until it is told to stop."""
    egg = f"bin/WALinuxAgent-{version}-py3.egg"
    commands = dict.fromkeys((f"{c}Command" for c in _COMMANDS), "")
    commands["enableCommand"] = f"python -u {egg} -run-exthandlers"
    item = {
        "name": "WALinuxAgent",
        "version": 1.0,
        "handlerManifest": {**commands, "rebootAfterInstall": False, "reportHeartbeat": False},
    }
    program = f"import signal\nprint('fabric agent {version} runs', flush=True)\nsignal.pause()\n"
    return archive(
        {
            "HandlerManifest.json": json.dumps([item], indent=2).encode(),
            egg: archive({"__main__.py": program.encode()}),
        }
    )


def archive(files: dict[str, bytes]) -> bytes:
    """A zip of files, always the same bytes; scripts carry their execute bit."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            info.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, content)
    return out.getvalue()
