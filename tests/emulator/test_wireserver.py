"""The wire server gives out what a real one does."""

from __future__ import annotations

import base64
import json

import pytest

from tests.emulator.client import PLAIN, WIRE, XML_POST, Client
from tests.emulator.opened import (
    certificates_of,
    key_of,
    open_envelope,
    recipient_kind,
    transport_of,
)
from tests.fabric import Dependency, Extension, JitUser, Settings
from tests.fabric.certificates import OBSERVED_TRANSPORT, PKCS1

ECHO = "Fabric.Test.Echo"


def test_versions_are_listed_without_any_protocol_header(client: Client) -> None:
    answer = client.send("GET", f"{WIRE}/?comp=versions").xml
    assert answer.findtext("Preferred/Version") == "2015-04-05"
    assert "2012-11-30" in [v.text for v in answer.findall("Supported/Version")]


def test_goal_state_is_served_with_and_without_the_slash(client: Client) -> None:
    for path in ("/machine/?comp=goalstate", "/machine?comp=goalstate"):
        assert client.get(WIRE + path).xml.findtext("Incarnation") == "1"


def test_goal_state_escapes_the_instance_in_its_urls(client: Client) -> None:
    url = client.goal_state().findtext(".//SharedConfig") or ""
    assert "%2Dvm?comp=config&type=sharedConfig&incarnation=1" in url
    assert ".%5Ffabric" in url


def test_goal_state_leaves_out_what_the_machine_does_not_have(client: Client) -> None:
    client.fabric.platform.change(has_certificates=False, has_extensions_config=False)
    state = client.goal_state()
    for name in ("Certificates", "ExtensionsConfig", "RemoteAccessInfo"):
        assert state.find(f".//{name}") is None


def test_every_document_of_the_goal_state_can_be_fetched(client: Client) -> None:
    roots = {
        "HostingEnvironmentConfig": "HostingEnvironmentConfig",
        "SharedConfig": "SharedConfig",
        "ExtensionsConfig": "Extensions",
        "FullConfig": "RoleInstanceConfig",
    }
    assert {e: client.document(e).xml.tag for e in roots} == roots


def test_a_past_incarnation_is_gone_and_no_fault_of_the_client(client: Client) -> None:
    url = client.goal_state().findtext(".//SharedConfig") or ""
    client.fabric.platform.change()
    assert client.get(url).status == 410


def test_documents_of_the_old_container_are_gone_after_a_move(client: Client) -> None:
    url = client.goal_state().findtext(".//ExtensionsConfig") or ""
    client.fabric.platform.move_to_new_container(new_incarnation=False)
    assert client.get(url).status == 410
    assert client.document("ExtensionsConfig").status == 200


def test_settings_are_sealed_for_the_tenant_certificate(client: Client) -> None:
    text = client.document("ExtensionsConfig").xml.findtext(".//RuntimeSettings") or ""
    settings = json.loads(text)["runtimeSettings"][0]["handlerSettings"]
    tenant = client.fabric.world.sealer.tenant
    assert tenant is not None
    assert settings["protectedSettingsCertThumbprint"] == tenant.thumbprint
    plain = open_envelope(base64.b64decode(settings["protectedSettings"]), tenant)
    assert json.loads(plain) == {"secret": "fabric secret"}


@pytest.mark.parametrize("cipher", ["AES128_CBC", "DES_EDE3_CBC"])
def test_certificates_are_enveloped_with_the_cipher_asked_for(client: Client, cipher: str) -> None:
    answer = client.document("Certificates", **client.secret_headers(cipher)).xml
    assert answer.findtext("Format") == "Pkcs7BlobWithPfxContents"
    sealed = base64.b64decode(answer.findtext("Data") or "")
    assert recipient_kind(sealed) == "subject_key_identifier"
    assert transport_of(sealed) == dict(OBSERVED_TRANSPORT)[cipher]
    pfx = open_envelope(sealed, client.transport)
    given = client.fabric.world.sealer.certificates
    assert certificates_of(pfx) == {c.der for c in given}
    assert given[0].key is not None
    assert key_of(pfx).private_numbers() == given[0].key.private_numbers()


def test_key_transport_can_be_another_than_the_observed_one(client: Client) -> None:
    client.fabric.world.transport["AES128_CBC"] = PKCS1
    answer = client.document("Certificates", **client.secret_headers()).xml
    sealed = base64.b64decode(answer.findtext("Data") or "")
    assert transport_of(sealed) == PKCS1
    assert certificates_of(open_envelope(sealed, client.transport))


def test_added_certificates_travel_in_the_same_pfx(client: Client) -> None:
    client.fabric.platform.add_certificate("User")
    answer = client.document("Certificates", **client.secret_headers()).xml
    pfx = open_envelope(base64.b64decode(answer.findtext("Data") or ""), client.transport)
    given = client.fabric.world.sealer.certificates
    assert [c.key is None for c in given] == [False, True, False]
    assert certificates_of(pfx) == {c.der for c in given}


def test_certificates_are_others_after_a_rotation(client: Client) -> None:
    before = {c.thumbprint for c in client.fabric.world.sealer.certificates}
    client.fabric.platform.rotate_certificates(new_incarnation=False)
    after = {c.thumbprint for c in client.fabric.world.sealer.certificates}
    assert not before & after
    assert client.goal_state().findtext("Incarnation") == "1"
    stored = client.document("HostingEnvironmentConfig").xml.iter("StoredCertificate")
    assert {one.get("certificateId", "")[5:] for one in stored} == after


def test_remote_access_seals_passwords_as_utf_16(client: Client) -> None:
    client.fabric.platform.set_users([JitUser("jit1", "p\u00e4ss")])
    answer = client.document("RemoteAccessInfo", **client.secret_headers()).xml
    sealed = base64.b64decode(answer.findtext(".//Password") or "")
    assert open_envelope(sealed, client.transport).decode("utf-16-le") == "p\u00e4ss"
    assert answer.findtext(".//Name") == "jit1"


def test_multi_config_and_dependencies_are_written_as_azure_does(client: Client) -> None:
    on = (Dependency("Pub.Multi", "one"),)
    client.fabric.portal.put_extension(
        Extension(
            "Pub.Multi",
            multi_config=True,
            settings=(
                Settings(2, {"a": 1}, name="one", level=1),
                Settings(3, {"a": 2}, name="two", state="disabled", level=2, depends_on=on),
            ),
        )
    )
    document = client.document("ExtensionsConfig").xml
    found = document.find("PluginSettings/Plugin[@name='Pub.Multi']")
    assert found is not None
    items = [(e.get("name"), e.get("seqNo"), e.get("state")) for e in found]
    assert items[2:] == [("one", "2", "enabled"), ("two", "3", "disabled")]
    assert found.find("DependsOn[@name='two']/DependsOnExtension[@extension='one']") is not None


def test_new_settings_have_the_next_sequence_number(client: Client) -> None:
    client.fabric.portal.update_settings(ECHO, {"echo": "second"})
    document = client.document("ExtensionsConfig").xml
    assert document.get("goalStateIncarnation") == "2"
    element = document.find(".//RuntimeSettings")
    assert element is not None
    assert element.get("seqNo") == "1"


def test_health_reports_are_understood(client: Client) -> None:
    details = "<Details><SubStatus>Provisioning</SubStatus><Description>Starting</Description>"
    assert client.health("NotReady", details + "</Details>").status == 200
    answer = client.health("Ready")
    assert answer.headers["x-ms-latest-goal-state-incarnation-number"] == "1"
    reports = client.fabric.world.received.health
    assert [(r.state, r.sub_status) for r in reports] == [
        ("NotReady", "Provisioning"),
        ("Ready", None),
    ]
    assert client.fabric.await_ready(within_s=0).state == "Ready"


def test_role_properties_are_answered_with_202(client: Client) -> None:
    vm = client.fabric.vm
    body = (
        f"<RoleProperties><Container><ContainerId>{vm.container_id}</ContainerId><RoleInstances>"
        f"<RoleInstance><Id>{vm.identity.role_instance}</Id><Properties>"
        '<Property name="CertificateThumbprint" value="AB" /></Properties></RoleInstance>'
        "</RoleInstances></Container></RoleProperties>"
    )
    url = f"{WIRE}/machine?comp=roleProperties"
    assert client.send("POST", url, XML_POST, body.encode()).status == 202
    assert client.fabric.world.received.role_properties == [{"CertificateThumbprint": "AB"}]


def test_newer_provisioning_reports_count_too(client: Client) -> None:
    body = json.dumps({"state": "Ready", "details": {"subStatus": "", "description": ""}})
    headers = {"x-ms-guest-agent-name": "other", "Content-Type": "application/json"}
    answer = client.send("POST", f"{WIRE}/provisioning/health", headers, body.encode())
    assert answer.status == 200
    assert client.fabric.await_ready(within_s=0).state == "Ready"


def test_telemetry_is_throttled_beyond_the_limit(client: Client) -> None:
    client.fabric.world.telemetry_limit = 2
    param = '<Param Name="Name" Value="x" T="mt:wstr" />'
    body = (
        '<TelemetryData version="1.0"><Provider id="69B669B9-4AF8-4C50-BDC4-6006FA76E975">'
        f'<Event id="1"><![CDATA[{param}]]></Event></Provider></TelemetryData>'
    )
    url = f"{WIRE}/machine?comp=telemetrydata"
    answers = [client.send("POST", url, XML_POST, body.encode()).status for _ in range(3)]
    assert answers == [200, 200, 429]
    assert len(client.fabric.world.received.events) == 2


def test_keep_alive_and_close_are_both_honoured(client: Client) -> None:
    url = f"{WIRE}/?comp=versions"
    assert (
        "Content-Length" in client.send("GET", url, {**PLAIN, "Connection": "keep-alive"}).headers
    )
    assert client.send("GET", url, {"Connection": "close"}).status == 200
