"""A loopback port on which a running fabric takes its commands as JSON."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fabric.commands import run
from tests.fabric.emulator import Fabric
from tests.fabric.golden import export


class Control:
    """The control port of one fabric."""

    def __init__(self, fabric: Fabric, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._server = _Server(address, fabric)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def __enter__(self) -> Control:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], fabric: Fabric) -> None:
        self.fabric = fabric
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name that http.server gives it
        """Whoever commands knows what they did."""

    def do_GET(self) -> None:
        """Ask for something."""
        parts = urlsplit(self.path)
        given = dict(parse_qsl(parts.query))
        fabric = self.server.fabric
        if parts.path == "/journal.jsonl":
            text = export(fabric.journal.entries(since=int(given.get("since", "0"))), fabric.vm)
            self._answer(200, text.encode(), "application/jsonl")
            return
        self._say(*run(fabric, "GET", parts.path, given))

    def do_POST(self) -> None:
        """Tell it to do something."""
        length = self.headers.get("Content-Length", "0")
        try:
            given = json.loads(self.rfile.read(int(length)) or b"{}")
        except ValueError as e:
            self._say(400, {"error": f"cannot read the command: {e}"})
            return
        if not isinstance(given, dict):
            self._say(400, {"error": "cannot use a command that is no JSON object"})
            return
        self._say(*run(self.server.fabric, "POST", self.path, given))

    def _say(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value, indent=1).encode() + b"\n", "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
