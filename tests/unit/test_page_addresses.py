"""Addresses that come with a request are passed on only where they can be read one way."""

import pytest

from integration.ory.kratos_flows import FlowKind
from integration.web.addresses import safe_return_to, start_url, with_return_to
from integration.web.mailbox_page import with_links
from integration.web.rendering import origin_of, policy

PUBLIC = "https://id.example.test/"


@pytest.mark.parametrize(
    "url",
    [
        "//evil.test/",
        "/\\evil.test",
        "\\\\evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://good.test@evil.test/",
        "https:///evil.test",
        "https://evil.test:port/",
        "https://[evil/",
        "https://evil.test/\r\nSet-Cookie: x=1",
        "https://evil.test/ x",
        "https://exämple.test/",
        "evil.test",
        "",
        "/" + "a" * 2048,
    ],
)
def test_a_return_address_in_doubt_is_dropped(url):
    assert safe_return_to(url) == ""
    assert with_return_to("/login", url) == "/login"


@pytest.mark.parametrize("url", ["/account/settings", "https://app.example.test:8443/cb?a=b"])
def test_a_plain_return_address_is_passed_on(url):
    assert safe_return_to(url) == url


def test_only_known_names_and_values_reach_kratos():
    query = {"refresh": "true", "aal": "aal9", "return_to": "/a?b=c", "method": "password"}
    assert start_url(PUBLIC, FlowKind.LOGIN, query) == (
        "https://id.example.test/self-service/login/browser?return_to=%2Fa%3Fb%3Dc&refresh=true"
    )
    assert start_url(PUBLIC, FlowKind.RECOVERY, {"refresh": "true", "aal": "aal2"}) == (
        "https://id.example.test/self-service/recovery/browser"
    )


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.test/cb?x", "https://app.example.test"),
        ("http://[::1]:4455/", "http://[::1]:4455"),
    ],
)
def test_a_policy_names_origins(url, origin):
    assert origin_of(url) == origin


def test_the_policy_allows_no_scripts_and_no_framing():
    rules = policy(("https://app.example.test",))
    assert "default-src 'none'" in rules
    assert "script-src" not in rules
    assert "frame-ancestors 'none'" in rules
    assert "form-action 'self' https://app.example.test" in rules


def test_links_in_a_text_mail_can_be_clicked_and_nothing_else_is_markup():
    text = "See <b>https://id.example.test/v?flow=1&code=2</b>, or http://x.test."
    assert with_links(text) == (
        'See &lt;b&gt;<a href="https://id.example.test/v?flow=1&amp;code=2">'
        "https://id.example.test/v?flow=1&amp;code=2</a>&lt;/b&gt;, or "
        '<a href="http://x.test">http://x.test</a>.'
    )
