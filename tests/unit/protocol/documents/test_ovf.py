"""ovf-env.xml: what it asks for, what is missing in it, and keeping it without its password."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.ovf import (
    KeyPair,
    OvfEnv,
    PublicKey,
    parse_ovf_env,
    without_password,
)

FINGERPRINT = "EB0C0AB4B2D5FC35F2F0658D19F44C8283E2DD62"
DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1"
    xmlns:ns1="http://schemas.microsoft.com/windowsazure">
  <ns1:ProvisioningSection><ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet>
      <ns1:HostName>h</ns1:HostName><ns1:UserName>u</ns1:UserName>{more}
    </ns1:LinuxProvisioningConfigurationSet>
  </ns1:ProvisioningSection>
  <ns1:PlatformSettingsSection><ns1:Version>1.0</ns1:Version>
    <ns1:PlatformSettings><ns1:ProvisionGuestAgent>{agent}</ns1:ProvisionGuestAgent>
    </ns1:PlatformSettings>
  </ns1:PlatformSettingsSection>
</ns0:Environment>"""
SECRET = "p@ss&#10;w0rd"


def ovf(more: str = "", agent: str = "true") -> bytes:
    """A document with more in its configuration."""
    return DOCUMENT.format(more=more, agent=agent).encode()


def test_ovf_env_of_the_media_is_read_whole() -> None:
    """The captured one; it asks the agent to turn itself off."""
    assert parse_ovf_env(sample("ovf/ovf-env.xml")) == OvfEnv(
        host_name="HostName",
        user_name="UserName",
        password="UserPassword",
        custom_data="CustomData",
        is_ssh_password_disabled=False,
        public_keys=(
            PublicKey(
                "$HOME/UserName/.ssh/authorized_keys",
                FINGERPRINT,
                "ssh-rsa AAAANOTAREALKEY== foo@bar.local",
            ),
        ),
        key_pairs=(KeyPair("$HOME/UserName/.ssh/id_rsa", FINGERPRINT),),
        guest_agent_word="false",
        version="1.0",
    )


def test_ovf_env_hides_password_and_custom_data() -> None:
    """In a log line they would be read by everyone."""
    text = repr(parse_ovf_env(sample("ovf/ovf-env.xml")))
    assert "password='" not in text
    assert "CustomData" not in text


def test_ovf_env_of_the_least_has_defaults() -> None:
    """Whatever the prefixes are called."""
    assert parse_ovf_env(ovf()) == OvfEnv("h", "u")


@pytest.mark.parametrize(
    ("word", "disabled"),
    [("true", True), ("TRUE", True), ("false", False), ("1", False), ("", False)],
)
def test_ovf_env_disables_ssh_passwords_only_when_it_says_true(word: str, disabled: bool) -> None:
    """In any case."""
    name = "DisableSshPasswordAuthentication"
    env = parse_ovf_env(ovf(f"<ns1:{name}>{word}</ns1:{name}>"))
    assert env.is_ssh_password_disabled is disabled


@pytest.mark.parametrize(("word", "wanted"), [("FALSE", False), ("no", True), ("true", True)])
def test_ovf_env_turns_the_agent_off_only_when_it_says_false(word: str, wanted: bool) -> None:
    """DAEMON, appendix D."""
    assert parse_ovf_env(ovf(agent=word)).provision_guest_agent is wanted


def test_ovf_env_texts_are_taken_as_they_stand() -> None:
    """A password may begin with a blank; CDATA is text; an empty element is none."""
    password = "<ns1:UserPassword><![CDATA[ <p&> ]]></ns1:UserPassword>"
    env = parse_ovf_env(ovf(password + "<ns1:CustomData/>"))
    assert env.password == " <p&> "
    assert env.custom_data is None


def test_ovf_env_of_a_later_version_is_used_and_says_so() -> None:
    """With a warning, by the caller."""
    env = parse_ovf_env(ovf().replace(b">1.0<", b">1.1<", 1))
    assert (env.version, env.is_newer) == ("1.1", True)
    assert not parse_ovf_env(ovf()).is_newer


@pytest.mark.parametrize(
    "name",
    [
        "Environment",
        "ProvisioningSection",
        "LinuxProvisioningConfigurationSet",
        "HostName",
        "UserName",
        "PlatformSettingsSection",
        "PlatformSettings",
        "ProvisionGuestAgent",
    ],
)
def test_ovf_env_error_says_which_element_is_missing(name: str) -> None:
    """The text reaches the portal."""
    data = ovf().replace(f":{name}>".encode(), f":No{name}>".encode())
    data = data.replace(f":{name} ".encode(), f":No{name} ".encode())
    data = (
        data.replace(b"<ns0:Environment\n", b"<ns0:NoEnvironment\n")
        if name == "Environment"
        else data
    )
    with pytest.raises(DocumentError) as caught:
        parse_ovf_env(data)
    assert str(caught.value) == f"Failed to validate OVF: {name} not found"


@pytest.mark.parametrize("name", ["HostName", "UserName", "ProvisionGuestAgent", "Version"])
def test_ovf_env_error_counts_an_empty_element_as_missing(name: str) -> None:
    """As the reference does."""
    text = ovf().decode()
    for value in ("h", "u", "true", "1.0"):
        text = text.replace(f"<ns1:{name}>{value}<", f"<ns1:{name}><")
    with pytest.raises(DocumentError, match=f"{name} not found"):
        parse_ovf_env(text.encode())


def test_ovf_env_elements_of_another_namespace_do_not_count() -> None:
    """Look-ups are by namespace."""
    with pytest.raises(DocumentError, match="UserName not found"):
        parse_ovf_env(ovf().replace(b"ns1:UserName", b"ns0:UserName"))


@pytest.mark.parametrize(
    "element",
    [
        f"<ns1:UserPassword>{SECRET}</ns1:UserPassword>",
        f'<ns1:UserPassword a="b">{SECRET}</ns1:UserPassword>',
        f'<UserPassword xmlns="http://schemas.microsoft.com/windowsazure">{SECRET}</UserPassword>',
        f"<UserPassword>{SECRET}</UserPassword>",
        "<ns1:UserPassword><![CDATA[p@ss\nw0rd]]></ns1:UserPassword>",
        "<ns1:UserPassword>p@ss<!-- p@ss -->\nw0rd</ns1:UserPassword>",
        "<ns1:UserPassword\n>p@ss<x>w0rd</x></ns1:UserPassword\n>",
        '<ns1:UserPassword value="p@ss w0rd"/>',
        f"<ns1:AdminPassword>{SECRET}</ns1:AdminPassword>",
        f"<ns1:UserPassword>{SECRET}</ns1:UserPassword><ns1:UserPassword>{SECRET}x</ns1:UserPassword>",
        f"<ns1:x><ns1:y><ns1:userpassword>{SECRET}</ns1:userpassword></ns1:y></ns1:x>",
        "<!-- <ns1:UserPassword>p@ss w0rd</ns1:UserPassword> -->",
        "<?keep p@ss w0rd?>",
        '<ns1:x UserPassword="p@ss w0rd" ns1:password="p@ss w0rd" other="y"/>',
        f'<o:UserPassword xmlns:o="urn:other">{SECRET}</o:UserPassword>',
        f"<ns1:UserPassword><ns1:UserPassword>{SECRET}</ns1:UserPassword>{SECRET}</ns1:UserPassword>",
    ],
)
def test_without_password_removes_it_however_it_is_written(element: str) -> None:
    """The reference's pattern misses all but the plainest of these (DAEMON 4.3)."""
    kept = without_password(ovf(element + "<ns1:CustomData>data</ns1:CustomData>"))
    for part in (b"p@ss", b"w0rd"):
        assert part not in kept
    env = parse_ovf_env(kept)
    assert (env.host_name, env.user_name, env.custom_data) == ("h", "u", "data")
    assert env.password in ("*", None)


@pytest.mark.parametrize("where", ["<ns1:PlatformSettings>", "<ns1:ProvisioningSection>"])
def test_without_password_looks_in_every_section(where: str) -> None:
    """The first one of the document counts, wherever it is."""
    more = f"{where}<ns1:UserPassword>p@ss</ns1:UserPassword>"
    data = f"<!-- p@ss -->{ovf().decode()[38:].replace(where, more)}<!-- p@ss -->".encode()
    assert b"p@ss" in data
    assert b"p@ss" not in without_password(data)


def test_without_password_joins_the_texts_around_a_comment() -> None:
    """They were one text before."""
    kept = without_password(ovf("<ns1:CustomData>da<!-- x -->ta</ns1:CustomData>"))
    assert parse_ovf_env(kept).custom_data == "data"


def test_document_of_ten_megabytes_is_read_or_refused_as_any_other() -> None:
    """Whether in one piece or in many; releases of libxml2 differ in the longest text they take."""
    many = "<ns1:x>1234567890</ns1:x>" * 400_000
    assert parse_ovf_env(ovf(many)).user_name == "u"
    with contextlib.suppress(DocumentError):
        env = parse_ovf_env(ovf(f"<ns1:CustomData>{'x' * 10_500_000}</ns1:CustomData>"))
        assert env.custom_data == "x" * 10_500_000


def test_without_password_changes_nothing_else() -> None:
    """The saved copy is the media's but for the password."""
    before = parse_ovf_env(sample("ovf/ovf-env.xml"))
    kept = without_password(sample("ovf/ovf-env.xml"))
    after = parse_ovf_env(kept)
    assert after.password == "*"
    assert b">UserPassword<" not in kept
    assert (after.public_keys, after.key_pairs) == (before.public_keys, before.key_pairs)
    assert after.custom_data == before.custom_data


def test_without_password_refuses_what_is_no_xml() -> None:
    """Nothing is kept that was not understood."""
    with pytest.raises(DocumentError):
        without_password(b"<UserPassword>secret")
