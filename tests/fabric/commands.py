"""What can be asked of a running fabric by JSON: one function a path, values checked by name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Callable, Optional

from tests.fabric.decoding import decode_body
from tests.fabric.emulator import Fabric
from tests.fabric.faults import NAMED
from tests.fabric.journal import DEADLINE_S, Entry
from tests.fabric.model import ECHO, Dependency, Extension, JitUser, Settings

Given = Mapping[str, Any]


class BadCommand(ValueError):
    """The command does not make sense; the text says why."""


def _take(given: Given, *known: str) -> Given:
    unknown = set(given) - set(known)
    if unknown:
        raise BadCommand(f"cannot use {sorted(unknown)}; known are {sorted(known)}")
    return given


def state(fabric: Fabric, given: Given) -> Any:
    """What is wanted, where everything is, and what the guest last reported."""
    _take(given)
    vm, received = fabric.vm, fabric.world.received
    return {
        "incarnation": vm.incarnation,
        "etag": vm.etag,
        "container_id": vm.container_id,
        "config_name": vm.config_name,
        "identity": asdict(vm.identity),
        "fast_track": vm.fast_track,
        "blob_type": vm.blob_type,
        "on_hold": vm.on_hold,
        "extensions": [asdict(e) for e in vm.wanted.extensions],
        "families": [asdict(f) for f in vm.wanted.families],
        "users": None if vm.users is None else [u.name for u in vm.users],
        "certificates": [c.thumbprint for c in fabric.world.sealer.certificates],
        "faults": fabric.world.board.list(),
        "health": [asdict(h) for h in received.health],
        "status": received.statuses[-1] if received.statuses else None,
        "role_properties": received.role_properties,
        "requests": len(fabric.journal.entries()),
        "violations": len(fabric.violations),
        "address_book": {name: list(real) for name, real in fabric.address_book.items()},
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """A journal entry as JSON values, its body decoded."""
    return {
        "number": entry.number,
        "time": entry.time,
        "endpoint": entry.endpoint,
        "method": entry.method,
        "url": entry.url,
        "headers": [list(pair) for pair in entry.headers],
        **decode_body(entry),
        "answer": entry.answer,
        "fault": entry.fault,
        "violations": list(entry.complaints),
    }


def journal(fabric: Fabric, given: Given) -> Any:
    """Requests after the number `since`, of one endpoint or prefix."""
    _take(given, "since", "endpoint")
    entries = fabric.journal.entries(str(given.get("endpoint", "")), int(given.get("since", 0)))
    return [entry_json(entry) for entry in entries]


def violations(fabric: Fabric, given: Given) -> Any:
    """Every break of the protocol so far."""
    _take(given)
    return list(fabric.violations)


def extensions(fabric: Fabric, given: Given) -> Any:
    """Add, change, disable, enable, remove or drop extensions."""
    known = ("action", "name", "public", "protected", "config", "version", "extension")
    _take(given, *known)
    portal, name = fabric.portal, str(given.get("name", ECHO))
    actions: dict[str, Callable[[], Any]] = {
        "put": lambda: portal.put_extension(read_extension(given["extension"])),
        "settings": lambda: portal.update_settings(
            name, given.get("public"), given.get("protected"), config=given.get("config")
        ),
        "version": lambda: portal.update_extension(name, version=str(given["version"])),
        "disable": lambda: portal.update_extension(name, state="disabled"),
        "enable": lambda: portal.update_extension(name, state="enabled"),
        "remove": lambda: portal.remove_extensions(name),
        "drop": lambda: portal.drop_extensions(name),
    }
    action = given.get("action")
    if action not in actions:
        raise BadCommand(f"cannot do {action!r}; actions are {sorted(actions)}")
    actions[action]()
    return _where(fabric)


def read_extension(given: Given) -> Extension:
    """An extension from its JSON form."""
    _take(
        given, "name", "version", "state", "settings", "multi_config", "published", "signature",
        "manifest_options",
    )  # fmt: skip
    facts = dict(given)
    facts["settings"] = tuple(_settings(item) for item in given.get("settings", [{}]))
    facts["published"] = tuple(given.get("published", ()))
    facts["manifest_options"] = tuple(given.get("manifest_options", {}).items())
    return Extension(**facts)


def _settings(given: Given) -> Settings:
    _take(given, "seq_no", "public", "protected", "name", "state", "level", "depends_on")
    facts = dict(given)
    facts["depends_on"] = tuple(Dependency(**one) for one in given.get("depends_on", ()))
    return Settings(**facts)


def _where(fabric: Fabric) -> dict[str, Any]:
    vm = fabric.vm
    return {"incarnation": vm.incarnation, "etag": vm.etag, "container_id": vm.container_id}


def fault(fabric: Fabric, given: Given) -> Any:
    """Break an endpoint with a named fault, or clear one endpoint or (`*`) all."""
    _take(given, "endpoint", "fault", "count", "clear")
    if "clear" in given:
        fabric.clear_faults(None if given["clear"] in {True, "*"} else str(given["clear"]))
    else:
        if given.get("fault") not in NAMED:
            raise BadCommand(f"cannot find the fault {given.get('fault')!r}: {sorted(NAMED)}")
        fabric.fault(str(given["endpoint"]), str(given["fault"]), given.get("count"))
    return fabric.world.board.list()


def container(fabric: Fabric, given: Given) -> Any:
    """Move the machine to another container."""
    _take(given, "container_id", "new_incarnation")
    fabric.platform.move_to_new_container(
        given.get("container_id"), new_incarnation=bool(given.get("new_incarnation", True))
    )
    return _where(fabric)


def certificates(fabric: Fabric, given: Given) -> Any:
    """Rotate, add one, or choose the key transport of a cipher."""
    _take(given, "rotate", "new_incarnation", "add", "with_key", "transport")
    if given.get("rotate"):
        fabric.platform.rotate_certificates(
            new_incarnation=bool(given.get("new_incarnation", True))
        )
    if "add" in given:
        fabric.platform.add_certificate(
            str(given["add"]), with_key=bool(given.get("with_key", True))
        )
    fabric.world.transport.update(given.get("transport", {}))
    return [c.thumbprint for c in fabric.world.sealer.certificates]


def users(fabric: Fabric, given: Given) -> Any:
    """The just-in-time users; null takes remote access out of the goal state."""
    _take(given, "users")
    wanted = given.get("users")
    fabric.platform.set_users(None if wanted is None else [JitUser(**one) for one in wanted])
    return _where(fabric)


def agent(fabric: Fabric, given: Given) -> Any:
    """List an agent version, with a package in base64, and perhaps ask for it by RSM."""
    _take(given, "version", "package", "by_rsm", "family")
    package = given.get("package")
    fabric.platform.offer_agent(
        str(given["version"]),
        base64.b64decode(package) if package else None,
        by_rsm=bool(given.get("by_rsm", False)),
        family=str(given.get("family", "Prod")),
    )
    return _where(fabric)


def machine(fabric: Fabric, given: Given) -> Any:
    """Other facts of the machine: hold, blob type, vmSettings, or only a new incarnation."""
    _take(given, "on_hold", "blob_type", "fast_track", "new_incarnation", "host_plugin_version",
          "has_certificates", "has_extensions_config", "certificate_format")  # fmt: skip
    facts = {k: v for k, v in given.items() if k not in {"fast_track", "new_incarnation"}}
    if facts or "fast_track" not in given:
        fabric.platform.change(new_incarnation=bool(given.get("new_incarnation", True)), **facts)
    if "fast_track" in given:
        fabric.platform.set_fast_track(str(given["fast_track"]))
    return _where(fabric)


def package(fabric: Fabric, given: Given) -> Any:
    """Give a package other bytes, in base64."""
    _take(given, "name", "version", "package")
    content = base64.b64decode(given["package"])
    fabric.platform.publish(str(given["name"]), str(given["version"]), content)
    return {"bytes": len(content)}


def wait(fabric: Fabric, given: Given) -> Any:
    """Wait for Ready, for requests to an endpoint, or for an extension's status."""
    _take(given, "for", "endpoint", "count", "since", "name", "seq_no", "status", "version",
          "config", "within_s")  # fmt: skip
    within_s = float(given.get("within_s", DEADLINE_S))
    waits: dict[str, Callable[[], Any]] = {
        "ready": lambda: asdict(fabric.await_ready(within_s)),
        "requests": lambda: [
            entry_json(entry)
            for entry in fabric.await_requests(
                str(given["endpoint"]), int(given.get("count", 1)),
                since=int(given.get("since", 0)), within_s=within_s,
            )
        ],
        "extension": lambda: fabric.await_extension(
            str(given.get("name", ECHO)), seq_no=int(given.get("seq_no", 0)),
            status=str(given.get("status", "success")), version=given.get("version"),
            config=given.get("config"), within_s=within_s,
        ),
        "status": lambda: fabric.await_status(
            since=int(given.get("since", 0)), within_s=within_s
        ),
    }  # fmt: skip
    what = given.get("for")
    if what not in waits:
        raise BadCommand(f"cannot wait for {what!r}; known are {sorted(waits)}")
    return waits[what]()


ASK: dict[str, Callable[[Fabric, Given], Any]] = {
    "/state": state,
    "/journal": journal,
    "/violations": violations,
}
TELL: dict[str, Callable[[Fabric, Given], Any]] = {
    "/extensions": extensions,
    "/fault": fault,
    "/container": container,
    "/certificates": certificates,
    "/users": users,
    "/agent": agent,
    "/vm": machine,
    "/package": package,
    "/wait": wait,
}


def run(fabric: Fabric, method: str, path: str, given: Given) -> tuple[int, Any]:
    """Carry out one command; the status and the answer's JSON value."""
    table: Optional[dict[str, Callable[[Fabric, Given], Any]]] = {"GET": ASK, "POST": TELL}.get(
        method
    )
    command = (table or {}).get(path)
    if command is None:
        return 404, {"error": f"cannot {method} {path}", "known": sorted(ASK) + sorted(TELL)}
    try:
        return 200, command(fabric, given)
    except AssertionError as e:
        return 504, {"error": str(e)}
    except (ValueError, KeyError, TypeError) as e:
        return 400, {"error": f"{type(e).__name__}: {e}"}
