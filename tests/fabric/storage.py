"""Blob storage: manifests, packages, and the machine's own container `$system`."""

from __future__ import annotations

import json
import re
from typing import Optional
from urllib.parse import unquote, urlsplit

from tests.fabric import echo
from tests.fabric.addresses import (
    MIRRORS,
    PACKAGE_MIRRORS,
    agent_name,
    blob_path,
    find_number,
    profile_sas,
    status_sas,
)
from tests.fabric.checks_status import status_faults
from tests.fabric.documents import render_manifest
from tests.fabric.exchange import Answer, Refused, Request, Route, need_header, need_method
from tests.fabric.model import BLOCK_BLOB, PAGE_BLOB, Extension
from tests.fabric.vmsettings import render_artifacts_profile
from tests.fabric.world import Blob, World

PAGE = 512
MOST_PER_WRITE = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_ERROR = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{0}</Code><Message>{1}</Message></Error>'
)


def _error(status: int, code: str, why: Optional[str]) -> Refused:
    body = _ERROR.format(code, "The request was refused.").encode()
    return Refused(Answer(status, body, "application/xml", (("x-ms-error-code", code),)), why)


class Storage:
    """One storage account, as seen by its host name."""

    name = "storage"

    def __init__(self, world: World) -> None:
        self._world = world

    def route(self, request: Request) -> Optional[Route]:
        """Who answers a request to the account."""
        container = unquote(urlsplit(request.path).path).lstrip("/").split("/")[0]
        if container == "$system":
            return Route("storage.system", self._system)
        number = find_number(container, "manifests")
        if number is not None and number < MIRRORS:
            return Route(f"storage.{container}", self._read)
        number = find_number(container, "packages")
        if number is not None and number < PACKAGE_MIRRORS:
            return Route(f"storage.{container}", self._read)
        return None

    def fetch(self, url: str) -> Answer:
        """What a URL of this account gives; the host reads through this too."""
        parts = urlsplit(url)
        target = parts.path + ("?" + parts.query if parts.query else "")
        request = Request("GET", target, (("Host", parts.netloc),))
        if parts.netloc != self._world.addresses.storage:
            raise _error(404, "ContainerNotFound", f"nothing is known of the host {parts.netloc}")
        route = self.route(request)
        if route is None:
            raise _error(404, "ContainerNotFound", f"nobody gave out the URL {url}")
        return route.answer(request)

    def _read(self, request: Request) -> Answer:
        need_method(request, "GET", "HEAD")
        path = unquote(request.path)
        with self._world.lock:
            stored = self._world.blobs.get(path)
            content = stored.content if stored else self._render(path)
        if content is None:
            raise _error(404, "BlobNotFound", f"the goal state never named {path}")
        kind = "application/zip" if path.endswith(".zip") else "application/xml"
        return Answer(200, content, kind, (("x-ms-blob-type", BLOCK_BLOB),))

    def _render(self, path: str) -> Optional[bytes]:
        container, _, name = path.lstrip("/").partition("/")
        if container.startswith("manifests") and name.endswith("_manifest.xml"):
            return self._manifest(name[: -len("_manifest.xml")])
        if container.startswith("packages") and name.endswith(".zip"):
            title, _, version = name[: -len(".zip")].rpartition("__")
            return self._package(title, version)
        return None

    def _offers(self) -> dict[str, tuple[str, ...]]:
        vm = self._world.vm
        found: dict[str, tuple[str, ...]] = {}
        for goal in (vm.goal, vm.fast_goal):
            offers = [(e.name, e.versions) for e in goal.extensions]
            offers += [(agent_name(f.name), f.versions) for f in goal.families]
            for name, versions in offers:
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), *versions)))
        return found

    def _manifest(self, name: str) -> Optional[bytes]:
        versions = self._offers().get(name)
        if versions is None:
            return None
        addresses = self._world.addresses
        return render_manifest(
            (version, [addresses.package(name, version, n) for n in range(PACKAGE_MIRRORS)])
            for version in versions
        )

    def _package(self, name: str, version: str) -> Optional[bytes]:
        given = self._world.packages.get((name, version))
        if given is not None:
            return given
        if version not in self._offers().get(name, ()):
            return None
        if name.startswith(agent_name("")):
            return echo.agent_package(version)
        return echo.package(version, **dict(self._extension(name).manifest_options))

    def _extension(self, name: str) -> Extension:
        vm = self._world.vm
        everyone = (*vm.goal.extensions, *vm.fast_goal.extensions)
        return next(e for e in everyone if e.name == name)

    def _system(self, request: Request) -> Answer:
        path = unquote(request.path)
        vm = self._world.vm
        if path == blob_path(vm, "vmSettings"):
            need_method(request, "GET", "HEAD")
            _need_sas(request, profile_sas(), "reading the artifacts profile")
            return Answer(200, render_artifacts_profile(vm), "application/json")
        if path == blob_path(vm, "status"):
            need_method(request, "PUT")
            _need_sas(request, status_sas(), "writing the status")
            return self._put_status(path, request)
        raise _error(404, "BlobNotFound", f"the goal state never named {path}")

    def _put_status(self, path: str, request: Request) -> Answer:
        length = request.header("Content-Length")
        if length is None:
            raise _error(411, "MissingContentLengthHeader", "a PUT needs a Content-Length")
        if length != str(len(request.body)):
            raise _error(400, "InvalidHeaderValue", "Content-Length is not the body's length")
        need_header(request, "x-ms-version")
        with self._world.lock:
            if request.argument("comp") == "page":
                self._put_page(path, request)
            elif request.argument("comp") is not None:
                raise _error(400, "InvalidQueryParameterValue", "comp has to be page here")
            else:
                self._put_blob(path, request)
        return Answer(201, headers=(("ETag", '"0x8DD"'), ("x-ms-request-server-encrypted", "true")))

    def _put_blob(self, path: str, request: Request) -> None:
        kind = need_header(request, "x-ms-blob-type", (BLOCK_BLOB, PAGE_BLOB))
        if kind != self._world.vm.blob_type:
            request.complain(f"the goal state asks for a {self._world.vm.blob_type}, not a {kind}")
        if kind == BLOCK_BLOB:
            self._world.blobs[path] = Blob(kind, request.body)
            self._take_status(request, request.body)
            return
        if request.body:
            raise _error(400, "InvalidHeaderValue", "the creation of a page blob has no body")
        size = need_header(request, "x-ms-blob-content-length")
        if not size.isdigit() or int(size) % PAGE:
            raise _error(
                400, "InvalidHeaderValue", f"a page blob's size {size!r} is no multiple of 512"
            )
        self._world.blobs[path] = Blob(kind, bytes(int(size)))

    def _put_page(self, path: str, request: Request) -> None:
        blob = self._world.blobs.get(path)
        if blob is None:
            raise _error(404, "BlobNotFound", "a page is written before its blob is created")
        if blob.kind != PAGE_BLOB:
            raise _error(409, "InvalidBlobType", "a page is written to a blob that is no page blob")
        need_header(request, "x-ms-page-write", ("update",))
        match = _RANGE.fullmatch(need_header(request, "x-ms-range"))
        if match is None:
            raise _error(400, "InvalidHeaderValue", "x-ms-range is not bytes=FIRST-LAST")
        first, last = int(match[1]), int(match[2])
        why = _page_fault(first, last, len(request.body), len(blob.content))
        if why:
            raise _error(416 if "end" in why else 400, "InvalidPageRange", why)
        blob.content = blob.content[:first] + request.body + blob.content[last + 1 :]
        if last + 1 == len(blob.content):
            self._take_status(request, blob.content.rstrip(b"\0 "))

    def _take_status(self, request: Request, content: bytes) -> None:
        try:
            document = json.loads(content)
        except ValueError as e:
            request.complain(f"the status blob is no JSON: {e}")
            return
        for sentence in status_faults(document):
            request.complain(sentence)
        if isinstance(document, dict):
            self._world.received.statuses.append(document)


def _page_fault(first: int, last: int, length: int, size: int) -> Optional[str]:
    if first % PAGE or (last + 1) % PAGE or last < first:
        return f"the range {first}-{last} is not aligned to pages of 512"
    if last - first + 1 != length:
        return f"the range {first}-{last} does not fit a body of {length} bytes"
    if length > MOST_PER_WRITE:
        return f"a page write of {length} bytes is larger than 4 MiB"
    if last >= size:
        return f"the range {first}-{last} passes the blob's end at {size}"
    return None


def _need_sas(request: Request, wanted: str, what: str) -> None:
    expected = Request("GET", wanted, ()).query
    given = tuple(pair for pair in request.query if pair != ("comp", "page"))
    if given != expected:
        raise _error(403, "AuthenticationFailed", f"the SAS is not the one given for {what}")
