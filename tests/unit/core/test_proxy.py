"""Which proxy a request takes: the configuration's, else the environment's, unless bypassed."""

from __future__ import annotations

import logging
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.proxy import ProxyRules

STORAGE = "https://account.blob.core.windows.net/c/b?sig=x"


def chosen(environment: dict[str, str], url: str = STORAGE) -> Optional[str]:
    """The proxy of the environment."""
    return ProxyRules(environment=environment).choose(url)


def test_no_proxy_is_used_where_none_is_known() -> None:
    """The usual case."""
    assert ProxyRules().choose(STORAGE) is None


@pytest.mark.parametrize(("port", "expected"), [(3128, "3128"), (None, "80")])
def test_configured_proxy_comes_before_the_environment(port: Optional[int], expected: str) -> None:
    """A port that is missing is 80, as the documentation of the option says."""
    rules = ProxyRules("proxy.corp", port, {"https_proxy": "http://other:1"})
    assert rules.choose(STORAGE) == f"http://proxy.corp:{expected}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "http://proxy:3128"),
        ("http://user:secret@proxy:3128/", "http://proxy:3128"),
        ("https://proxy:443", "http://proxy:443"),
        ("http://proxy", "http://proxy:80"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("http://proxy:port", None),
        ("http://proxy:0", None),
        ("http://proxy:99999", None),
        ("http://[fd00::1:3128", None),
        ("http://", None),
        ("", None),
    ],
)
def test_proxy_of_the_environment_is_read_as_far_as_it_names_one(
    value: str, expected: Optional[str]
) -> None:
    """Its user and password are not for us."""
    assert chosen({"https_proxy": value}) == expected


def test_proxy_is_that_of_the_requests_scheme_and_lower_case_comes_first() -> None:
    """An empty variable counts as found (spec WIRE 2.6)."""
    environment = {"http_proxy": "plain:1", "HTTPS_PROXY": "upper:2", "HTTP_PROXY": "no:3"}
    assert chosen(environment, "http://x/") == "http://plain:1"
    assert chosen(environment, "https://x/") == "http://upper:2"
    assert chosen({"https_proxy": "", "HTTPS_PROXY": "upper:2"}) is None


def test_useless_proxy_is_told_once_and_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not with every request."""
    with caplog.at_level(logging.WARNING):
        rules = ProxyRules(environment={"https_proxy": "http://user:secret@proxy:x"})
        for _ in range(3):
            assert rules.choose(STORAGE) is None
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("no_proxy", "host", "bypassed"),
    [
        ("blob.core.windows.net", "account.blob.core.windows.net", True),
        (".windows.net, other", "account.blob.core.WINDOWS.net", True),
        ("ACCOUNT.blob.core.windows.net", "account.blob.core.windows.net", True),
        ("count", "account", True),
        ("*", "account", False),
        ("account.blob", "account.blob.core.windows.net", False),
        (" , ,", "account", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3/33", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("1.2.3", "10.1.2.3", False),
        ("3", "10.1.2.3", False),
    ],
)
def test_bypass_list_is_read_as_the_reference_reads_it(
    no_proxy: str, host: str, bypassed: bool
) -> None:
    """Names by their end, addresses by network or as they are; both sources of a proxy."""
    for rules in (
        ProxyRules("proxy", 1, {"no_proxy": no_proxy}),
        ProxyRules(environment={"https_proxy": "proxy:1", "NO_PROXY": no_proxy}),
    ):
        assert (rules.choose(f"https://{host}/x") is None) == bypassed


@given(value=st.text(max_size=30), bypass=st.text(max_size=20))
def test_no_value_of_the_environment_makes_choosing_fail(value: str, bypass: str) -> None:
    """Any administrator may set anything there."""
    found = chosen({"https_proxy": value, "no_proxy": bypass})
    assert found is None or found.startswith("http://")
