"""What a document's value shows of itself: everything but secrets, so that it may be logged.

The values are those of the samples' README.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.artifacts_profile import parse_artifacts_profile
from waagent.protocol.documents.certificates import parse_certificates
from waagent.protocol.documents.extensions import parse_extensions_config
from waagent.protocol.documents.goalstate import parse_goal_state
from waagent.protocol.documents.hosting import parse_hosting_environment
from waagent.protocol.documents.manifest import parse_manifest
from waagent.protocol.documents.ovf import parse_ovf_env
from waagent.protocol.documents.remoteaccess import parse_remote_access
from waagent.protocol.documents.versions import parse_versions
from waagent.protocol.documents.vm_settings import parse_vm_settings

Parser = Callable[[bytes], Any]

PARSERS: tuple[Parser, ...] = (
    parse_goal_state,
    parse_extensions_config,
    parse_vm_settings,
    parse_certificates,
    parse_manifest,
    parse_ovf_env,
    parse_remote_access,
    parse_versions,
    parse_hosting_environment,
    parse_artifacts_profile,
)
SHOWN: tuple[tuple[str, Parser, tuple[str, ...]], ...] = (
    ("wire/version_info.xml", parse_versions, ("'2012-11-30'", "'2010-12-15'")),
    (
        "wire/goal_state.xml",
        parse_goal_state,
        (
            "'1'",
            "c6d5526c-5ac2-4200-b6e2-56f2b70c5ab2",
            "b61f93d0-e1ed-40b2-b067-22c243233448.MachineRole_IN_0",
            "bc8b9d47-b5ed-4704-85d9-fd74cc967ec2.5.bc8b9d47-b5ed-4704-85d9-fd74cc967ec2.5._canary",
            "type=extensionsConfig&incarnation=1",
        ),
    ),
    (
        "wire/hosting_env.xml",
        parse_hosting_environment,
        ("'MachineRole_IN_0'", "'MachineRole'", "'db00a7755a5e4e8a8fe4b19bc3b330c3'"),
    ),
    ("wire/certs_format_not_pfx.xml", parse_certificates, ("'CertificatesNonPfxPackage'",)),
    (
        "wire/ext_conf.xml",
        parse_extensions_config,
        (
            "'OSTCExtensions.ExampleHandlerLinux', version='1.0.0'",
            "created_on='2021-11-16T13:22:50.620522Z'",
            "'BlockBlob'",
            "https://test.blob.core.windows.net/vhds/test-cs12.test-cs12.test-cs12.status?<redacted>",
            "http://mock-goal-state/manifest_of_ga.xml",
            "certificate_thumbprint='F6ABAA61098A301EBB8A571C3C7CF77F355F7FA9'",
        ),
    ),
    (
        "wire/ext_conf_in_vm_metadata.xml",
        parse_extensions_config,
        (
            "555e551c-600e-4fb4-90ba-8ab8ec28eccc",
            "400de90b-522e-491f-9d89-ec944661f531",
            "'2020-11-09T17:48:50.412125Z'",
        ),
    ),
    ("wire/ext_conf_rsm_version.xml", parse_extensions_config, ("version='9.9.9.10'",)),
    ("wire/manifest.xml", parse_manifest, ("'1.0.0'", "'4.1.0.0'", "'2.3.0'", "1.3.0")),
    ("wire/ga_manifest.xml", parse_manifest, ("'9.9.9.10'", "'99999.0.0.0'")),
    ("wire/remote_access_two_accounts.xml", parse_remote_access, ("testAccount2", "2019-01-01")),
    (
        "hostgaplugin/vm_settings.json",
        parse_vm_settings,
        (
            "host_plugin_version='1.0.8.133'",
            "'2021-11-16T13:22:50.620529Z'",
            "'FastTrack'",
            "name='MCExt3'",
            "status?<redacted>",
        ),
    ),
    (
        "hostgaplugin/vm_settings-agent_family_version.json",
        parse_vm_settings,
        ("version='9.9.9.9'",),
    ),
    ("wire/in_vm_artifacts_profile.json", parse_artifacts_profile, ("on_hold=True",)),
    (
        "ovf/ovf-env.xml",
        parse_ovf_env,
        ("'HostName'", "'UserName'", "EB0C0AB4B2D5FC35F2F0658D19F44C8283E2DD62"),
    ),
)
SECRETS = ("sig=", "MIICWgYJK", "MIIBsAYJ", "password='", "encryptedPassword", "UserPassword")


@pytest.mark.parametrize(("name", "parse", "expected"), SHOWN, ids=[name for name, *_ in SHOWN])
def test_value_of_a_document_shows_what_it_says_without_its_secrets(
    name: str, parse: Parser, expected: tuple[str, ...]
) -> None:
    """Versions are text, times are ISO text, URLs come without their tokens."""
    shown = repr(parse(sample(name)))
    assert [part for part in expected if part not in shown] == []
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: str(parse.__name__))
def test_parser_takes_bytes_alone_and_refuses_none_with_a_document_error(parse: Parser) -> None:
    """One positional argument; a document of nothing at all is refused, but for the profile."""
    assert len(inspect.signature(parse).parameters) == 1
    for data in (b"\xff\xfe\x00", b"<a/>", b"[", b"7", b"[" * 100_000, b"<a>" * 100_000):
        with pytest.raises(DocumentError, match=r"^(cannot read|Failed to validate)"):
            parse(data)


def test_both_sources_give_one_type() -> None:
    fabric = parse_extensions_config(sample("hostgaplugin/ext_conf.xml"))
    fast = parse_vm_settings(sample("hostgaplugin/vm_settings.json"))
    assert type(fabric) is type(fast)


def test_remote_user_shows_its_expiration_as_iso_text() -> None:
    data = (
        b"<RemoteAccess><Users><User><Name>jit1</Name><Password>c2VjcmV0</Password>"
        b"<Expiration>Fri, 31 Jan 2025 10:00:00 GMT</Expiration></User></Users></RemoteAccess>"
    )
    shown = repr(parse_remote_access(data))
    assert "expires_at='2025-01-31T10:00:00Z'" in shown
    assert "c2VjcmV0" not in shown
