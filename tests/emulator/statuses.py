"""A status document as a healthy guest uploads it."""

from __future__ import annotations

import base64
import json
from typing import Any

TIME = "2025-01-31T12:00:00Z"


def message(text: str) -> dict[str, str]:
    """A formatted message."""
    return {"lang": "en-US", "message": text}


def handler(name: str = "Fabric.Test.Echo", seq_no: int = 0, **status: Any) -> dict[str, Any]:
    """One handler with one extension's status."""
    inner = {
        "name": name,
        "configurationAppliedTime": TIME,
        "operation": "Enable",
        "status": "success",
        "code": 0,
        "formattedMessage": message("done"),
        **status,
    }
    return {
        "handlerVersion": "1.0.0",
        "handlerName": name,
        "status": "Ready",
        "code": 0,
        "useExactVersion": True,
        "formattedMessage": message("Plugin enabled"),
        "runtimeSettingsStatus": {
            "settingsStatus": {"status": inner, "version": 1.0, "timestampUTC": TIME},
            "sequenceNumber": seq_no,
        },
    }


def document(*handlers: dict[str, Any]) -> dict[str, Any]:
    """A whole status document."""
    return {
        "version": "1.1",
        "timestampUTC": TIME,
        "aggregateStatus": {
            "guestAgentStatus": {
                "version": "1.2.3.4",
                "status": "Ready",
                "formattedMessage": message("Guest Agent is running"),
            },
            "handlerAggregateStatus": list(handlers),
        },
        "guestOSInfo": {
            "computerName": "vm",
            "osName": "debian",
            "osVersion": "12",
            "version": "1.2.3.4",
        },
        "supportedFeatures": [{"Key": "MultipleExtensionsPerHandler", "Value": "1.0"}],
    }


def block_headers(content: bytes) -> dict[str, str]:
    """The headers of a block blob's upload."""
    return {
        "Content-Length": str(len(content)),
        "x-ms-blob-type": "BlockBlob",
        "x-ms-date": TIME,
        "x-ms-version": "2014-02-14",
    }


def create_headers(size: int) -> dict[str, str]:
    """The headers that create a page blob."""
    return {
        "Content-Length": "0",
        "x-ms-blob-type": "PageBlob",
        "x-ms-blob-content-length": str(size),
        "x-ms-date": TIME,
        "x-ms-version": "2014-02-14",
    }


def page_headers(first: int, content: bytes) -> dict[str, str]:
    """The headers that write pages."""
    return {
        "Content-Length": str(len(content)),
        "x-ms-date": TIME,
        "x-ms-page-write": "update",
        "x-ms-range": f"bytes={first}-{first + len(content) - 1}",
        "x-ms-version": "2014-02-14",
    }


def through_host(uri: str, headers: dict[str, str], content: bytes = b"") -> bytes:
    """The JSON by which the HostPlugin is asked to make a PUT."""
    upload: dict[str, Any] = {
        "requestUri": uri,
        "headers": [{"headerName": n, "headerValue": v} for n, v in headers.items()],
    }
    if content:
        upload["content"] = base64.b64encode(content).decode()
    return json.dumps(upload).encode()
