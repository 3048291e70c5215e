"""How the fabric's servers are called in the documents it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from tests.fabric.model import STORAGE_HOST, WIRE_AUTHORITY, Vm

MIRRORS = 3
PACKAGE_MIRRORS = 2
_SAS = "?sv=2018-03-28&sr=b&sk=system-1&sig={}&se=9999-01-01T00%3a00%3a00Z&sp={}"


@dataclass(frozen=True)
class Addresses:
    """Authorities as a client reads them in a URL."""

    wire: str = WIRE_AUTHORITY
    storage: str = STORAGE_HOST

    def document(self, vm: Vm, kind: str) -> str:
        """The URL of one of the goal state's documents."""
        return f"http://{self.wire}{document_target(vm, kind)}"

    def manifest(self, name: str, mirror: int) -> str:
        """The URL of an extension's or agent family's manifest."""
        return f"http://{self.storage}/manifests{mirror}/{name}_manifest.xml"

    def package(self, name: str, version: str, mirror: int) -> str:
        """The URL of a package."""
        return f"http://{self.storage}/packages{mirror}/{name}__{version}.zip"

    def status_blob(self, vm: Vm) -> str:
        """The URL, with its SAS, to which the status goes."""
        return f"http://{self.storage}{blob_path(vm, 'status')}{status_sas()}"

    def profile_blob(self, vm: Vm) -> str:
        """The URL, with its SAS, of the artifacts profile."""
        return f"http://{self.storage}{blob_path(vm, 'vmSettings')}{profile_sas()}"


def status_sas() -> str:
    """The query that allows writing the status."""
    return _SAS.format("c3RhdHVz%3d", "w")


def profile_sas() -> str:
    """The query that allows reading the artifacts profile."""
    return _SAS.format("cHJvZmlsZQ%3d%3d", "r")


def blob_path(vm: Vm, suffix: str) -> str:
    """The path of one of the machine's own blobs."""
    return f"/$system/{vm.identity.name}.{vm.identity.vm_id}.{suffix}"


def document_target(vm: Vm, kind: str) -> str:
    """Path and query of a document, escaped as the fabric does it: hyphen and underscore too."""
    instance = vm.identity.role_instance.replace("-", "%2D").replace("_", "%5F")
    base = f"/machine/{vm.container_id}/{instance}"
    if kind in {"certificates", "remoteAccessInfo"}:
        return f"{base}?comp={kind}&incarnation={vm.incarnation}"
    return f"{base}?comp=config&type={kind}&incarnation={vm.incarnation}"


def agent_name(family: str) -> str:
    """What the agent of a family is called in storage."""
    return f"agent_{family}"


def find_number(name: str, prefix: str) -> Optional[int]:
    """The number behind a prefix, such as 2 of `manifests2`."""
    rest = name[len(prefix) :]
    return int(rest) if name.startswith(prefix) and rest.isdigit() else None
