"""Redaction: no SAS query, password or key gets through, wherever it stands; the rest stays."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.redact import redact, without_query

SECRET = "c2VjcmV0LXNlY3JldA"
KEYS = ["sv", "st", "se", "sr", "sp", "sip", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv"]
HARMLESS = ["comp", "restype", "x-ms", "type", "timeout"]
SURROUNDINGS = [
    "{}",
    "cannot fetch {} now",
    '{{"uri": "{}", "more": 1}}',
    "<Uri>{}</Uri>",
    "<a uri='{}'/>",
    "first line\n{}\nlast line",
    "[{}]",
    "b'{}'",
]


def query(pairs: list[tuple[str, str]], ampersand: str) -> str:
    """A query string."""
    return ampersand.join(f"{key}={value}" for key, value in pairs)


PAIRS = st.lists(
    st.tuples(
        st.sampled_from(KEYS + HARMLESS), st.sampled_from(["1", "rw", "a%2Fb", "2020-01-01"])
    ),
    max_size=6,
)


@given(
    before=PAIRS,
    after=PAIRS,
    name=st.sampled_from(["sig", "SIG", "Sig", "sIg"]),
    form=st.tuples(
        st.sampled_from(["https://", "http://", "HTTPS://", ""]),
        st.sampled_from(["&", "&amp;", "\\u0026", "%26"]),
    ),
    around=st.sampled_from(SURROUNDINGS),
    signature=st.sampled_from([SECRET, f"{SECRET}%3D", f"{SECRET}/+=", f"a%2B{SECRET}%2F"]),
)
def test_signature_is_removed_wherever_it_stands(
    *,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    name: str,
    form: tuple[str, str],
    around: str,
    signature: str,
) -> None:
    """At any place in a query, in a URL or a copied query, in text, XML, JSON or a repr."""
    scheme, ampersand = form
    place = f"{scheme}account.blob.core.windows.net/c/b" if scheme else ""
    text = around.format(f"{place}?{query([*before, (name, signature), *after], ampersand)}")
    redacted = redact(text)
    assert SECRET not in redacted
    assert "<redacted>" in redacted
    assert redact(redacted) == redacted


@given(
    before=PAIRS,
    key=st.sampled_from(KEYS),
    after=PAIRS,
    around=st.sampled_from([each for each in SURROUNDINGS if "]" not in each]),
)
def test_whole_query_goes_with_any_of_its_sas_parameters(
    before: list[tuple[str, str]], key: str, after: list[tuple[str, str]], around: str
) -> None:
    """Also where the first parameter is another, which the reference lets through."""
    url = "https://account.blob.core.windows.net/c/b"
    text = around.format(f"{url}?{query([*before, (key, SECRET), *after], '&')}")
    redacted = redact(text)
    assert SECRET not in redacted
    assert f"{url}?<redacted>" in redacted
    assert redacted.replace("<redacted>", "") == around.format(f"{url}?")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_encoded_url_is_redacted_too(depth: int) -> None:
    """As a parameter of another URL."""
    text = f"https://account.blob/c?comp=x&sig={SECRET}"
    for _ in range(depth):
        text = quote(text, safe="")
    assert SECRET not in redact(f"see {text} there")


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_json_within_json_is_redacted_and_stays_json(depth: int) -> None:
    """Each level has more backslashes; the values beside the secret stay."""
    url = f"https://account.blob/c?comp=x&sig={SECRET}"
    document: object = {"password": SECRET + '"\\', "uri": url, "user": "bob", "n": 1}
    for _ in range(depth):
        document = {"inner": json.dumps(document), "other": "kept"}
    redacted = redact(json.dumps(document))
    assert SECRET not in redacted
    seen = json.loads(redacted)
    for _ in range(depth):
        assert seen["other"] == "kept"
        seen = json.loads(seen["inner"])
    assert (seen["user"], seen["n"]) == ("bob", 1)
    assert seen["uri"] == "https://account.blob/c?<redacted>"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"protectedSettings": "{SECRET}", "x": 1}}',
        f'{{"protectedSettings" :"{SECRET}',
        f'"userPassword":"{SECRET}"',
        f'"adminPassword" : "{SECRET}"',
        f"{{'password': '{SECRET}'}}",
        f'{{"Password": "a\\"{SECRET}"}}',
        f"<UserPassword>{SECRET}</UserPassword>",
        f"<ns0:UserPassword a='b'>{SECRET}</ns0:UserPassword>",
        f"<Password><![CDATA[<{SECRET}>]]></Password>",
        f"<UserPassword>{SECRET}",
        f"usermod -p $6$saltsalt${SECRET} azureuser",
        f"azureuser:$y$j9T$abc${SECRET}:19000:0",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_password_hash_and_key_are_removed_also_where_the_text_is_cut_off(text: str) -> None:
    """As the end of a long message is."""
    assert SECRET not in redact(text)
    assert "<redacted>" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://168.63.129.16/machine/?comp=goalstate",
        "http://168.63.129.16:32526/vmSettings?api-version=1&x=2",
        "Set the design=blue, assigned=yes, stsv=1, desig=2",
        "https://example.com/no-query sv=1 st=2",
        "<Password/> <PasswordPolicy>long</PasswordPolicy>",
        '{"passwordAuthentication": "no", "password": null}',
        "costs $5 or $6 and $1$2",
        "Signature of the package is good",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "gr\u00fc\u00dfe \U0001f600 \\ \" '",
    ],
)
def test_text_without_a_secret_stays_as_it_is(text: str) -> None:
    """Redaction must not hide what people look for."""
    assert redact(text) == text


@given(st.text(max_size=200))
def test_any_text_can_be_redacted_and_a_second_time_changes_nothing(text: str) -> None:
    """It never fails."""
    once = redact(text)
    assert redact(once) == once


HOSTILE = {
    "urls": "https://a?",
    "schemes": "https://",
    "open tags": "<Password>",
    "open data": "<Password><![CDATA[",
    "open members": '"password":"',
    "open keys": "-----BEGIN PRIVATE KEY-----",
    "backslashes": "\\",
    "namespaces": "<a:",
    "dollars": "$6$",
    "blanks": ' "password" ',
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    """An extension may send megabytes; a quadratic pattern would take hours for them."""
    text = piece * (1_000_000 // len(piece)) + " password sig http"
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5.0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://a.b/c/d?sig={SECRET}", "https://a.b/c/d"),
        (f"https://user:{SECRET}@a.b:8/c@d?x", "https://a.b:8/c@d"),
        (f"http://a.b#{SECRET}", "http://a.b"),
        (f"nonsense?{SECRET}", "nonsense"),
        ("", ""),
    ],
)
def test_url_in_a_message_has_neither_query_nor_user(url: str, shown: str) -> None:
    """Where a request went, and nothing that opens the door there."""
    assert without_query(url) == shown
