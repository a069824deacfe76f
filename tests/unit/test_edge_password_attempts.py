"""What goes on instead of a refused password, what never comes back, and when a session is old."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.asgi import Answer
from integration.edge.flows.reauthentication import PRIVILEGED_FOR, is_too_old
from integration.edge.passwords.attempts import (
    PasswordAttempt,
    new_id,
    scrubbed,
    with_another_password,
)
from policies.passwords import MOST_BYTES

KRATOS = Path(__file__).parents[2] / "kratos" / "kratos.yml"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ATTEMPT = PasswordAttempt(UUID("0b0a1d4e5f60718293a4b5c6d7e8f901"))
texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)))


def test_the_id_is_added_to_the_query():
    assert ATTEMPT.query("flow=1") == f"flow=1&kleis_attempt={ATTEMPT.id.hex}"
    assert ATTEMPT.query("") == f"kleis_attempt={ATTEMPT.id.hex}"


def test_ids_use_all_their_bits():
    made = [new_id().int for _ in range(200)]
    for bit in range(128):
        assert len({number >> bit & 1 for number in made}) == 2


@given(st.dictionaries(texts, texts))
def test_all_fields_but_the_password_go_on_as_they_came(fields):
    fields["password"] = "Password1!"
    sent = json.loads(with_another_password(fields, is_json=True))
    form = parse_qs(
        with_another_password(fields, is_json=False).decode(),
        keep_blank_values=True,
        errors="strict",
    )
    for given_back in (sent, {name: values[0] for name, values in form.items()}):
        other = given_back.pop("password")
        assert other != "Password1!"
        assert 8 <= len(other.encode()) <= MOST_BYTES
        assert given_back == {k: v for k, v in fields.items() if k != "password"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/x?flow=1&kleis_attempt={id}", "/x?flow=1"),
        ("/x?kleis_attempt={id}", "/x"),
        ("a%3Fflow%3D1%26kleis_attempt%3D{id}&b", "a%3Fflow%3D1&b"),
        ("flow=1\\u0026kleis_attempt={id}\\u0026x=1", "flow=1\\u0026x=1"),
        ("nothing to see", "nothing to see"),
    ],
)
def test_no_trace_of_it_comes_back(before, after):
    text = before.format(id=ATTEMPT.id.hex).encode()
    answer = scrubbed(Answer(303, [(b"location", text)], text))
    assert answer == Answer(303, [(b"location", after.encode())], after.encode())


@pytest.mark.parametrize(
    ("age", "old"),
    [
        (timedelta(0), False),
        (timedelta(minutes=14), False),
        # What is refused here Kratos would still take, and never the other way round.
        (timedelta(minutes=14, seconds=30), True),
        (timedelta(days=1), True),
    ],
)
def test_a_session_is_too_old_before_kratos_finds_it_so(age, old):
    assert is_too_old(NOW - age, NOW) is old


def test_a_session_of_unknown_age_is_too_old():
    assert is_too_old(None, NOW)


def test_kratos_and_the_edge_agree_on_what_is_too_old():
    flows = yaml.safe_load(KRATOS.read_text())["selfservice"]["flows"]
    assert flows["settings"]["privileged_session_max_age"] == "15m"
    assert timedelta(minutes=15) == PRIVILEGED_FOR


@pytest.mark.parametrize("kind", ["registration", "settings"])
def test_only_the_password_method_needs_a_verdict(kind):
    after = yaml.safe_load(KRATOS.read_text())["selfservice"]["flows"][kind]["after"]
    for method, rules in after.items():
        if isinstance(rules, dict):
            hooks = [hook for hook in rules["hooks"] if hook["hook"] == "web_hook"]
            asks, tells = (hook["config"]["url"] for hook in hooks)
            assert ("/password/" in asks, "/password/" in tells) == (method == "password",) * 2
            assert asks.startswith(f"${{HOOKS_URL}}/hooks/{kind}/")
            assert (asks.endswith("/submitted"), tells.endswith("/completed")) == (True, True)
            assert hooks[0]["config"]["response"] == {"parse": True, "ignore": False}
