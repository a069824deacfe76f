"""Requests that carry several credentials, at a real edge: all have to be of one member."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pytest

from tests.edge_stage import Answered, ask, edge_running, settings_for, upstream_running
from tests.session_upstream import Sessions
from tests.token_stage import Somebody, ring_of, somebody

RULES = Path(__file__).parents[1] / "unit" / "recorded" / "forward_auth_rules.yml"
FORWARDED = {
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "media.example.test",
    "X-Forwarded-Uri": "/media/a1",
}
PATHS = ("/api/me", "/api/forward-auth", "/api/tokens/revocations")
KINDS = ("token", "cookie", "session_cookie", "access_token")


@dataclass
class Stage:
    port: int
    kratos: Sessions
    ada: Somebody
    eve: Somebody

    def ask(self, path: str, headers: dict[str, str]) -> Answered:
        return ask(self.port, "GET", path, headers=FORWARDED | headers)


@pytest.fixture
def stage(services) -> Iterator[Stage]:
    ring = ring_of(services)
    with upstream_running(Sessions()) as kratos:
        settings = settings_for(
            kratos.port,
            database_url=services.settings.database_url.get_secret_value(),
            valkey_url=services.settings.valkey_url.get_secret_value(),
            public_url=str(services.settings.public_url),
            forward_auth_rules=RULES,
        )
        with edge_running(settings) as port:
            yield Stage(port, kratos, somebody(services, ring), somebody(services, ring))


def credential(kind: str, who: Somebody) -> dict[str, str]:
    """The stand-in for Kratos takes a member's id for its session."""
    name = str(who.identity_id)
    return {
        "token": {"X-Session-Token": name},
        "cookie": {"Cookie": f"theme=dark; ory_kratos_session={name}"},
        "session_cookie": {"X-Session-Cookie": name},
        "session_bearer": {"Authorization": f"Bearer {name}"},
        "access_token": who.bearer,
    }[kind]


def is_conflict(answer: Answered) -> bool:
    return (
        answer.status == 400 and answer.json()["type"] == "urn:kleis:problem:credentials_conflict"
    )


def was_passed_on(stage: Stage, path: str) -> bool:
    return any(each["target"] == path for each in stage.kratos.seen)


@pytest.mark.parametrize(
    ("one", "other"), [*permutations(KINDS, 2), ("cookie", "session_bearer")], ids="+".join
)
def test_credentials_of_two_members_are_refused_everywhere(stage, one, other):
    both = credential(one, stage.ada) | credential(other, stage.eve)
    for path in PATHS:
        assert is_conflict(stage.ask(path, both)), path
        assert not was_passed_on(stage, path)


@pytest.mark.parametrize(("one", "other"), [("cookie", "access_token"), ("token", "cookie")])
def test_several_credentials_of_one_member_are_as_good_as_one(stage, one, other):
    both = credential(one, stage.ada) | credential(other, stage.ada)
    assert stage.ask("/api/me", both).status == 200
    assert was_passed_on(stage, "/api/me")


@pytest.mark.parametrize("one", ["cookie", "token"])
def test_what_is_nobodys_is_no_conflict(stage, one):
    """A browser goes on sending the cookie of a session that has ended."""
    stage.kratos.changed[str(stage.eve.identity_id)] = {"gone": True}
    both = credential(one, stage.eve) | credential("access_token", stage.ada)
    assert stage.ask("/api/me", both).status == 200
    forged = stage.eve.tokens.access_token[:-8] + "AAAAAAAA"
    both = credential(one, stage.ada) | {"Authorization": f"Bearer {forged}"}
    assert stage.ask("/api/me", both).status == 200


def test_two_session_cookies_of_two_members_are_refused(stage):
    pairs = "; ".join(f"ory_kratos_session={who.identity_id}" for who in (stage.ada, stage.eve))
    assert is_conflict(stage.ask("/api/me", {"Cookie": pairs}))
    twice = "; ".join([f"ory_kratos_session={stage.ada.identity_id}"] * 2)
    assert stage.ask("/api/me", {"Cookie": twice}).status == 200


def test_more_credentials_than_anybody_has_cost_no_question(stage):
    pairs = "; ".join(f"ory_kratos_session={number}" for number in range(50))
    answer = stage.ask("/api/me", {"Cookie": pairs})
    assert (answer.status, stage.kratos.asked) == (400, [])


def test_one_credential_costs_no_question_more(stage):
    for kind in ("token", "access_token"):
        assert stage.ask("/api/me", credential(kind, stage.ada)).status == 200
    assert stage.kratos.asked == []


def test_an_api_key_beside_a_session_is_no_member(stage):
    both = credential("cookie", stage.ada) | {"Authorization": "Bearer kleis_0123456789abcdef_x"}
    assert stage.ask("/api/me", both).status == 200


def test_nobody_is_let_through_while_kratos_cannot_say(stage):
    stage.kratos.broken = True
    both = credential("cookie", stage.ada) | credential("access_token", stage.ada)
    assert stage.ask("/api/me", both).status == 502
    assert not was_passed_on(stage, "/api/me")


def test_kratos_own_paths_keep_its_own_order(stage):
    both = credential("cookie", stage.ada) | credential("token", stage.eve)
    answer = stage.ask("/sessions/whoami", both)
    assert answer.json()["identity"]["id"] == str(stage.eve.identity_id)
