"""The HostPlugin and the metadata service."""

from __future__ import annotations

import io
import json
import zipfile

from tests.emulator.client import IMDS, PLUGIN, Client
from tests.emulator.statuses import (
    block_headers,
    create_headers,
    document,
    handler,
    page_headers,
    through_host,
)
from tests.fabric import Extension, Settings
from tests.fabric.faults import UNAVAILABLE

ECHO = "Fabric.Test.Echo"
JSON = {"Content-type": "application/json"}


def status_url(client: Client) -> str:
    return client.fabric.world.addresses.status_blob(client.fabric.vm)


def test_versions_and_health_need_nothing(client: Client) -> None:
    assert "2015-09-01" in client.send("GET", f"{PLUGIN}/versions").json
    assert client.send("GET", f"{PLUGIN}/health").status == 200


def test_vm_settings_are_not_there_until_they_are_switched_on(client: Client) -> None:
    assert client.vm_settings().status == 404
    client.fabric.platform.set_fast_track("fabric")
    assert client.vm_settings().json["extensionGoalStatesSource"] == "Fabric"
    client.fabric.platform.set_fast_track("fast_track")
    assert client.vm_settings().json["extensionGoalStatesSource"] == "FastTrack"


def test_vm_settings_are_not_modified_while_the_etag_is_known(client: Client) -> None:
    client.fabric.platform.set_fast_track("fast_track")
    tag = client.vm_settings().headers["ETag"]
    assert client.vm_settings(**{"if-none-match": tag}).status == 304
    client.fabric.portal.update_settings(ECHO, {"echo": "fast"})
    answer = client.vm_settings(**{"if-none-match": tag})
    assert answer.status == 200
    assert answer.headers["ETag"] != tag


def test_fast_track_changes_leave_the_wire_servers_goal_state_alone(client: Client) -> None:
    client.fabric.platform.set_fast_track("fast_track")
    before = client.goal_state().findtext("Incarnation")
    client.fabric.portal.update_settings(ECHO, {"echo": "fast"})
    assert client.goal_state().findtext("Incarnation") == before
    config = client.document("ExtensionsConfig").xml
    assert '"first"' in (config.findtext(".//RuntimeSettings") or "")
    metadata = config.find("InVMGoalStateMetaData")
    assert metadata is not None
    newer = client.vm_settings().json["extensionsLastModifiedTickCount"]
    assert newer > int(metadata.get("createdOnTicks", "0"))


def test_leaving_fast_track_writes_its_goal_to_the_wire_server(client: Client) -> None:
    client.fabric.platform.set_fast_track("fast_track")
    client.fabric.portal.update_settings(ECHO, {"echo": "fast"})
    client.fabric.platform.set_fast_track("off")
    text = client.document("ExtensionsConfig").xml.findtext(".//RuntimeSettings") or ""
    assert '"fast"' in text


def test_vm_settings_carry_public_settings_as_text(client: Client) -> None:
    multi = Extension(
        "Pub.Multi", multi_config=True, settings=(Settings(4, {"a": 1}, name="one", level=2),)
    )
    client.fabric.portal.put_extension(multi)
    client.fabric.platform.set_fast_track("fast_track")
    echo, found = client.vm_settings().json["extensionGoalStates"]
    assert json.loads(echo["settings"][0]["publicSettings"]) == {"echo": "first"}
    assert echo["settingsSeqNo"] == 0
    assert found["settings"][0]["seqNo"] == 4
    assert found["dependsOn"] == [{"dependsOnExtension": [], "dependencyLevel": 2, "name": "one"}]


def test_a_stale_container_or_configuration_is_gone(client: Client) -> None:
    old = client.plugin_headers()
    client.fabric.platform.move_to_new_container(new_incarnation=False)
    for name in ("x-ms-containerid", "x-ms-host-config-name"):
        assert client.vm_settings(**{name: old[name]}).status == 410


def test_a_container_that_never_was_is_a_violation(offender: Client) -> None:
    assert offender.vm_settings(**{"x-ms-containerid": "nobody"}).status == 400
    assert "never in a goal state" in offender.fabric.violations[0]


def test_artifacts_are_fetched_by_the_host_while_storage_is_unreachable(client: Client) -> None:
    client.fabric.fault("storage.", UNAVAILABLE)
    url = client.fabric.world.addresses.manifest(ECHO, 1)
    assert client.send("GET", url).status == 503
    headers = client.plugin_headers(**{"x-ms-artifact-location": url})
    answer = client.send("GET", f"{PLUGIN}/extensionArtifact", headers)
    assert answer.xml.findtext(".//Version") == "1.0.0"


def test_an_artifact_that_is_not_there_is_a_bad_gateway(offender: Client) -> None:
    url = offender.fabric.world.addresses.manifest("Other", 1)
    headers = offender.plugin_headers(**{"x-ms-artifact-location": url})
    assert offender.send("GET", f"{PLUGIN}/extensionArtifact", headers).status == 502


def test_a_status_goes_through_the_host_as_a_block_blob(client: Client) -> None:
    content = json.dumps(document(handler(seq_no=7))).encode()
    body = through_host(status_url(client), block_headers(content), content)
    answer = client.send("PUT", f"{PLUGIN}/status", client.plugin_headers(**JSON), body)
    assert answer.status == 201
    assert client.fabric.await_extension(ECHO, seq_no=7, within_s=0)


def test_a_status_goes_through_the_host_as_pages(client: Client) -> None:
    client.fabric.platform.change(blob_type="PageBlob")
    content = json.dumps(document(handler(seq_no=7))).encode()
    content += b" " * (-len(content) % 512)
    url = status_url(client)
    for body in (
        through_host(url, create_headers(len(content))),
        through_host(url + "&comp=page", page_headers(0, content), content),
    ):
        answer = client.send("PUT", f"{PLUGIN}/status", client.plugin_headers(**JSON), body)
        assert answer.status == 201
    assert client.fabric.await_extension(ECHO, seq_no=7, within_s=0)


def test_a_status_whose_inner_length_is_wrong_is_refused(offender: Client) -> None:
    content = json.dumps(document()).encode()
    headers = {**block_headers(content), "Content-Length": "5"}
    body = through_host(status_url(offender), headers, content)
    answer = offender.send("PUT", f"{PLUGIN}/status", offender.plugin_headers(**JSON), body)
    assert answer.status == 400
    assert "Content-Length is not the body's length" in offender.fabric.violations[0]


def test_a_status_for_another_address_is_refused(offender: Client) -> None:
    body = through_host("http://elsewhere/x", block_headers(b"{}"), b"{}")
    answer = offender.send("PUT", f"{PLUGIN}/status", offender.plugin_headers(**JSON), body)
    assert answer.status == 400
    assert "not the status blob's" in offender.fabric.violations[0]


def log_headers(client: Client) -> dict[str, str]:
    return client.plugin_headers(
        **{
            "x-ms-vmagentlog-deploymentid": client.fabric.vm.identity.deployment_id,
            "x-ms-client-name": "Test",
            "x-ms-client-version": "1.0",
            "x-ms-client-correlationid": "3d2c1b0a-9f8e-4d7c-8b6a-594837261504",
        }
    )


def test_logs_are_taken_when_they_are_a_zip(client: Client) -> None:
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("waagent.log", "text")
    url = f"{PLUGIN}/vmAgentLog"
    assert client.send("PUT", url, log_headers(client), bundle.getvalue()).status == 200
    assert client.fabric.world.received.logs == [bundle.getvalue()]


def test_logs_that_are_no_zip_are_refused(offender: Client) -> None:
    url = f"{PLUGIN}/vmAgentLog"
    assert offender.send("PUT", url, log_headers(offender), b"text").status == 400
    assert "no zip" in offender.fabric.violations[0]


def test_metadata_has_a_network_and_agrees_with_the_model(client: Client) -> None:
    url = f"{IMDS}/metadata/instance?api-version=2018-02-01"
    whole = client.send("GET", url, {"Metadata": "True"}).json
    assert whole["network"]["interface"][0]["ipv4"]["ipAddress"][0]["privateIpAddress"]
    compute = f"{IMDS}/metadata/instance/compute?api-version=2018-02-01"
    answer = client.send("GET", compute, {"Metadata": "true"}).json
    assert answer == whole["compute"]
    assert answer["vmId"] == client.fabric.vm.identity.vm_id
    one = f"{IMDS}/metadata/instance/compute/vmId?api-version=2018-02-01&format=text"
    assert client.send("GET", one, {"Metadata": "true"}).body.decode() == answer["vmId"]
