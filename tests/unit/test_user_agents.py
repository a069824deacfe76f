"""What a browser is called in a mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.user_agents import describe


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
         "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         "Safari on an iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("okhttp/5 (Linux)", "an app on Linux"),
        ("python-httpx/0.28", "an app"),
        ("", "an app"),
        ("Firefox", "Firefox"),
    ],
)  # fmt: skip
def test_known_browsers_and_systems_are_named(user_agent, words):
    assert describe(user_agent) == words


@given(st.text())
def test_nothing_of_the_clients_own_text_comes_out(user_agent):
    assert len(describe(user_agent)) < 40
    assert describe(user_agent + " http://evil.example/") == describe(user_agent)
