"""The emulator's documents have the shape of real ones, where those are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.emulator.client import WIRE, Client
from tests.fabric import Extension, JitUser, Settings

PROJECT = Path(__file__).parent.parent.parent
SAMPLES = Path(os.environ.get("WAAGENT_SAMPLES", PROJECT.parent / "shared" / "samples"))
ABSENT = f"real documents are not at {SAMPLES}; WAAGENT_SAMPLES may point to them"

# Told of by other clients of the fabric, and in none of the samples.
ALSO_KNOWN = {
    "/GoalState/Machine/StopRolesDeadlineHint",
    "/GoalState/Machine/ExpectHealthReport",
    "/Extensions/Plugins/Plugin/additionalLocations",
    "/Extensions/Plugins/Plugin/additionalLocations/additionalLocation",
}


def sample(name: str) -> ET.Element:
    """A real document; its absence fails where it has to be, and skips elsewhere."""
    path = SAMPLES / name
    if not path.exists():
        if os.environ.get("CI"):
            raise AssertionError(ABSENT)
        pytest.skip(ABSENT)
    return ET.fromstring(path.read_bytes())


def paths(node: ET.Element, where: str = "") -> Iterator[str]:
    """Every element and attribute of a document, by its path."""
    here = f"{where}/{node.tag}"
    yield here
    yield from (f"{here}@{name}" for name in node.attrib)
    for child in node:
        yield from paths(child, here)


def test_versions_have_the_shape_of_real_ones(client: Client) -> None:
    ours = client.send("GET", f"{WIRE}/?comp=versions").xml
    assert set(paths(ours)) == set(paths(sample("wire/version_info.xml")))


def test_goal_state_has_the_shape_of_a_real_one(client: Client) -> None:
    client.fabric.platform.set_users([])
    real = set(paths(sample("wire/goal_state.xml")))
    real |= set(paths(sample("wire/goal_state_remote_access.xml")))
    assert set(paths(client.goal_state())) <= real | ALSO_KNOWN


def test_extensions_config_has_the_shape_of_a_real_one(client: Client) -> None:
    real: set[str] = set()
    for name in (
        "ext_conf.xml",
        "ext_conf_in_vm_metadata.xml",
        "ext_conf_sequencing.xml",
        "ext_conf_rsm_version.xml",
        "multi-config/ext_conf_with_multi_config.xml",
    ):
        real |= set(paths(sample(f"wire/{name}")))
    client.fabric.portal.put_extension(
        Extension(
            "Pub.Multi", multi_config=True, settings=(Settings(0, {"a": 1}, name="one", level=1),)
        )
    )
    client.fabric.platform.offer_agent("9.9.9.1", by_rsm=True)
    assert set(paths(client.document("ExtensionsConfig").xml)) <= real | ALSO_KNOWN


@pytest.mark.parametrize(
    ("element", "name"),
    [("HostingEnvironmentConfig", "hosting_env.xml"), ("SharedConfig", "shared_config.xml")],
)
def test_configs_have_the_shape_of_real_ones(client: Client, element: str, name: str) -> None:
    assert set(paths(client.document(element).xml)) <= set(paths(sample(f"wire/{name}")))


def test_certificate_file_has_the_shape_of_a_real_one(client: Client) -> None:
    ours = client.document("Certificates", **client.secret_headers()).xml
    assert set(paths(ours)) == set(paths(sample("wire/certs.xml")))


def test_remote_access_has_the_shape_of_a_real_one(client: Client) -> None:
    client.fabric.platform.set_users([JitUser("jit1", "x")])
    ours = client.document("RemoteAccessInfo", **client.secret_headers()).xml
    assert set(paths(ours)) == set(paths(sample("wire/remote_access_two_accounts.xml")))


def test_manifest_has_the_shape_of_a_real_one(client: Client) -> None:
    ours = client.send("GET", client.fabric.world.addresses.manifest("Fabric.Test.Echo", 0)).xml
    assert set(paths(ours)) <= set(paths(sample("wire/manifest.xml")))
