"""The smaller documents of the wire server: versions, certificates, hosting, manifests, users."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Optional

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.artifacts_profile import parse_artifacts_profile
from waagent.protocol.documents.certificates import parse_certificates
from waagent.protocol.documents.hosting import HostingEnvironment, parse_hosting_environment
from waagent.protocol.documents.manifest import Package, parse_manifest
from waagent.protocol.documents.remoteaccess import RemoteUser, parse_remote_access
from waagent.protocol.documents.versions import Versions, parse_versions


def test_versions_of_the_fabric_are_accepted() -> None:
    """Preferred may be listed under Preferred only."""
    versions = parse_versions(sample("wire/version_info.xml"))
    assert versions == Versions("2012-11-30", ("2010-12-15", "2010-28-10"))
    assert versions.accepts("2012-11-30")
    assert versions.accepts("2010-28-10")
    assert not versions.accepts("2015-04-05")


def test_versions_of_an_empty_list_accept_nothing() -> None:
    """Not even the empty word."""
    versions = parse_versions(b"<Versions><Supported><Version/></Supported></Versions>")
    assert versions == Versions(None, ())
    assert not versions.accepts("")


def test_certificates_of_the_fabric_are_decoded() -> None:
    """The usual format."""
    file = parse_certificates(sample("wire/certs.xml"))
    assert file.is_known_format
    assert file.data is not None
    assert file.data[:2] == b"\x30\x82"
    assert file.text is not None
    assert base64.b64decode(file.text) == file.data


def test_certificates_of_another_format_are_left_alone() -> None:
    """Their Data need not even be base64."""
    file = parse_certificates(sample("wire/certs_format_not_pfx.xml"))
    assert file.format == "CertificatesNonPfxPackage"
    assert not file.is_known_format
    assert file.data is None


@pytest.mark.parametrize("inner", ["", "<Data/>", "<Data> </Data>", "<Format/><Data/>"])
def test_certificates_without_data_are_none(inner: str) -> None:
    """A machine may have no certificate."""
    file = parse_certificates(f"<CertificateFile>{inner}</CertificateFile>".encode())
    assert file.is_known_format
    assert (file.text, file.data) == (None, None)


def test_certificates_that_are_no_base64_are_refused() -> None:
    """With the reason."""
    with pytest.raises(DocumentError, match="base64"):
        parse_certificates(b"<CertificateFile><Data>**</Data></CertificateFile>")


def test_hosting_environment_of_an_old_fabric_has_all_names() -> None:
    """The full form."""
    assert parse_hosting_environment(sample("wire/hosting_env.xml")) == HostingEnvironment(
        "MachineRole_IN_0", "MachineRole", "db00a7755a5e4e8a8fe4b19bc3b330c3"
    )


def test_hosting_environment_of_a_current_fabric_has_only_the_vm() -> None:
    """Role and deployment are not sent any more."""
    data = b'<HostingEnvironmentConfig><Incarnation instance="vm"/></HostingEnvironmentConfig>'
    assert parse_hosting_environment(data) == HostingEnvironment("vm", None, None)


def test_manifest_of_an_extension_lists_public_and_internal_versions() -> None:
    """Thirteen and three; one forbids a major upgrade."""
    packages = parse_manifest(sample("wire/manifest.xml")).packages
    public = [package.version for package in packages if not package.is_internal]
    assert len(public) == 13
    assert (public[0], public[-1]) == ("1.0.0", "4.1.0.0")
    internal = [package.version for package in packages if package.is_internal]
    assert internal == ["1.3.0", "2.3.0", "2.4.0"]
    assert [p.version for p in packages if p.disallow_major_upgrade] == ["2.1.0"]


def test_manifest_of_the_agent_lists_its_versions() -> None:
    """In document order."""
    manifest = parse_manifest(sample("wire/ga_manifest.xml"))
    assert [package.version for package in manifest.packages] == [
        *("1.0.0", "1.1.0", "1.2.0", "2.0.0", "2.1.0", "2.5.0", "9.9.9.10", "99999.0.0.0")
    ]
    assert all(len(package.uris) == 1 for package in manifest.packages)


def test_manifest_leaves_out_a_version_that_is_none() -> None:
    """It would become a folder name; the others stay usable."""
    data = (
        b"<PluginVersionManifest><Plugins><Plugin><Version>../1</Version></Plugin><Plugin/>"
        b"<Plugin><Version> 1.2 </Version><Uris><Uri/><Uri> u </Uri></Uris></Plugin>"
        b"</Plugins></PluginVersionManifest>"
    )
    manifest = parse_manifest(data)
    assert manifest.packages == (Package("1.2", ("u",)),)
    assert len(manifest.notes) == 2
    assert "'../1'" in manifest.notes[0]


def test_remote_access_lists_two_users() -> None:
    """The captured one, whose expiration is not of the fabric's usual form."""
    access = parse_remote_access(sample("wire/remote_access_two_accounts.xml"))
    assert access.users == (
        RemoteUser("testAccount1", "encryptedPasswordString", "2019-01-01"),
        RemoteUser("testAccount2", "encryptedPasswordString", "2019-01-01"),
    )
    assert access.users[0].expires_at is None
    assert "encryptedPasswordString" not in repr(access)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Fri, 31 Jan 2025 10:00:00 GMT", datetime(2025, 1, 31, 10, tzinfo=timezone.utc)),
        ("Fri, 31 Jan 2025 10:00:00 UTC", datetime(2025, 1, 31, 10, tzinfo=timezone.utc)),
        ("Fri, 31 Feb 2025 10:00:00 GMT", None),
        ("Fri, 31 Foo 2025 10:00:00 GMT", None),
        ("Fri, 31 Jan 2025 10:00:00 CET", None),
        ("", None),
        (None, None),
    ],
)
def test_remote_user_expires_at_the_moment_that_the_fabric_names(
    text: Optional[str], moment: Optional[datetime]
) -> None:
    """Whatever the locale of the machine."""
    assert RemoteUser("u", expiration=text).expires_at == moment


def test_remote_access_leaves_out_a_user_without_a_name() -> None:
    """One user's error never affects the others."""
    data = b"<RemoteAccess><Users><User/><User><Name>a</Name></User></Users></RemoteAccess>"
    access = parse_remote_access(data)
    assert [user.name for user in access.users] == ["a"]
    assert len(access.notes) == 1


def test_remote_access_with_no_users_is_empty() -> None:
    """All just-in-time users are then removed."""
    assert parse_remote_access(b"<RemoteAccess><Users/></RemoteAccess>").users == ()


def test_artifacts_profile_of_the_fabric_puts_on_hold() -> None:
    """The captured one."""
    assert parse_artifacts_profile(sample("wire/in_vm_artifacts_profile.json")).on_hold


@pytest.mark.parametrize(
    ("data", "on_hold"),
    [
        (b"", False),
        (b" \0\0\0", False),
        (b"{}", False),
        (b'{"onHold": null}', False),
        (b'{"onHold": true}' + b"\0" * 512, True),
        (b'{"onHold": "TRUE"} ', True),
        (b'{"ONHOLD": "False"}', False),
        (b'\xef\xbb\xbf{"onHold": true}', True),
    ],
)
def test_artifacts_profile_is_on_hold_only_when_it_says_so(data: bytes, on_hold: bool) -> None:
    """Page blobs are padded, and a boolean may be text."""
    assert parse_artifacts_profile(data).on_hold is on_hold


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"onHold": 1}', b'{"onHold": "maybe"}', b"\xff"])
def test_artifacts_profile_that_cannot_be_read_is_an_error(data: bytes) -> None:
    """The caller counts it as not on hold and says so."""
    with pytest.raises(DocumentError, match="artifacts profile"):
        parse_artifacts_profile(data)
