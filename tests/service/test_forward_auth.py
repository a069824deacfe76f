"""Forward-auth at a real edge: who is let through, and what the application learns of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from sqlalchemy import text

from integration.members import sessions
from integration.tokens import access
from policies.authority import GUEST_SUBJECT, Role
from tests.decision_stage import Stage
from tests.edge_stage import Answered, ask
from tests.service.test_decisions import stage_with
from tests.token_stage import Somebody, ring_of, somebody

RULES = Path(__file__).parents[1] / "unit" / "recorded" / "forward_auth_rules.yml"
SECRET = "only for these tests, and long enough"


@contextmanager
def proxied(services, **changes) -> Iterator[Stage]:
    given = {"forward_auth_rules": RULES, "forward_auth_secret": SECRET} | changes
    with stage_with(services, **given) as stage:
        yield stage


@pytest.fixture
def stage(services) -> Iterator[Stage]:
    with proxied(services) as made:
        yield made


def through(
    stage: Stage, url: str, *, member: str | None = None, method: str = "GET", **more: str
) -> Answered:
    """Ask as Traefik does for `host/path`."""
    host, _, path = url.partition("/")
    headers = {
        "X-Forwarded-Method": method,
        "X-Forwarded-Host": host,
        "X-Forwarded-Uri": f"/{path}",
        **({"X-Session-Token": member} if member else {}),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return ask(stage.port, "GET", "/api/forward-auth", headers=headers)


def test_a_member_with_the_permit_is_let_through_by_name(stage):
    member = stage.member(role="creator")
    stage.keto.allowed.add((member, "a1"))

    answered = through(stage, "media.example.test/media/a1?x=1", member=member)

    assert answered.status == 200
    assert answered.header("x-kleis-subject") == member
    assert answered.header("x-kleis-roles") == "creator"
    assert answered.header("x-kleis-status") == "active"
    assert answered.header("cache-control") == "no-store"
    context = jwt.decode(answered.header("x-kleis-context"), SECRET, algorithms=["HS256"])
    assert context["sub"] == member
    assert (context["method"], context["path"]) == ("GET", "/media/a1")
    assert 0 < context["exp"] - time.time() <= 60


def test_without_the_permit_it_is_403_and_without_a_session_401(stage):
    member = stage.member()

    assert through(stage, "media.example.test/media/a1", member=member).status == 403
    refused = through(stage, "media.example.test/media/a1")
    assert refused.status == 401
    assert refused.header("cache-control") == "no-store"


def test_what_guests_may_needs_no_session(stage):
    stage.keto.allowed.add((GUEST_SUBJECT, "a1"))

    answered = through(stage, "media.example.test/media/a1")

    assert answered.status == 200
    assert answered.header("x-kleis-subject") == "guest"


@pytest.mark.parametrize("status", ["suspended", "banned", "deactivated"])
def test_a_session_of_who_may_have_none_is_none(stage, status):
    member = stage.member(status)

    assert through(stage, "app.example.test/", member=member).status == 401


def test_a_session_is_enough_where_the_rule_says_so(stage):
    member = stage.member()

    assert through(stage, "app.example.test/start", member=member).status == 200
    assert through(stage, "app.example.test/start").status == 401


def test_public_is_let_through_and_a_name_that_the_client_sent_is_overwritten(stage):
    answered = through(stage, "x.example.test/assets/a.css", X_Kleis_Subject="somebody")

    assert answered.status == 200
    assert answered.header("x-kleis-subject") == "guest"


@pytest.mark.parametrize(
    "url",
    [
        "elsewhere.test/",
        "app.example.test/media/../admin",
        "app.example.test/%61dmin",
        "app.example.test//admin",
        "app.example.test/ADMIN/x",
        "app.example.test/x%2f..%2fadmin",
    ],
)
def test_whatever_no_rule_reads_in_one_way_is_denied_to_everybody(stage, url):
    member = stage.member()
    stage.keto.allowed.add((member, "members.write"))

    assert through(stage, url, member=member).status == 403


def test_a_proxy_that_says_nothing_lets_nobody_through(stage):
    answered = ask(stage.port, "GET", "/api/forward-auth")

    assert answered.status == 403
    assert answered.json()["type"] == "urn:kleis:problem:request_malformed"


def test_without_rules_nobody_is_let_through(services):
    with proxied(services, forward_auth_rules=None) as stage:
        member = stage.member()
        assert through(stage, "app.example.test/", member=member).status == 403


def test_who_is_suspended_is_out_at_once(stage):
    member = stage.member()
    assert through(stage, "app.example.test/", member=member).status == 200
    stage.execute(
        "update members set status = 'suspended' where identity_id = :id",
        id=member,
    )
    stage.move(member)
    stage.check(member, fresh=True)

    assert through(stage, "app.example.test/", member=member).status == 401


def test_keto_down_lets_nobody_through(stage):
    member = stage.member()
    stage.keto.allowed.add((member, "a1"))
    stage.keto.broken = (500, "")

    assert through(stage, "media.example.test/media/a1", member=member).status == 403


# With an access token


@pytest.fixture
def issuing(services) -> Iterator[Stage]:
    """A stage whose edge believes the tokens of `services`."""
    with proxied(services, public_url=str(services.settings.public_url)) as made:
        yield made


@pytest.fixture
def ada(services) -> Somebody:
    return somebody(services, ring_of(services), Role.CREATOR)


def bearing(stage: Stage, who: Somebody, token: str | None = None) -> Answered:
    given = who.tokens.access_token if token is None else token
    return through(stage, "media.example.test/media/a1", Authorization=f"Bearer {given}")


def signed_again(services, who: Somebody, **changes: object) -> str:
    """Return a token of ours that says something else."""
    claims = jwt.decode(who.tokens.access_token, options={"verify_signature": False})
    return access.sign(claims | changes, ring_of(services).signer().half)


def test_a_good_access_token_is_let_through_as_its_member(issuing, ada):
    issuing.keto.allowed.add((str(ada.identity_id), "a1"))

    answered = bearing(issuing, ada)

    assert answered.status == 200
    assert answered.header("x-kleis-subject") == str(ada.identity_id)
    assert answered.header("x-kleis-roles") == "creator"


def test_a_token_needs_the_permit_as_a_session_does(issuing, ada):
    assert bearing(issuing, ada).status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 60},
        {"aud": "another application"},
        {"iss": "https://elsewhere.example.test"},
        {"sub": "25973e96-2efe-51f1-9603-b9cee8343d88"},
        {"sid": "25973e96-2efe-51f1-9603-b9cee8343d88"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_token_that_is_over_or_for_somebody_else_is_nobodys(services, issuing, ada, change):
    issuing.keto.allowed.add((str(ada.identity_id), "a1"))
    token = signed_again(services, ada, **change)

    assert bearing(issuing, ada, signed_again(services, ada)).status == 200
    assert bearing(issuing, ada, token).status == 401


def test_a_token_that_somebody_made_up_is_nobodys(issuing, ada):
    issuing.keto.allowed.add((str(ada.identity_id), "a1"))
    head, claims, _ = ada.tokens.access_token.split(".")
    unsigned = jwt.encode({"sub": str(ada.identity_id)}, None, algorithm="none")

    assert bearing(issuing, ada, f"{head}.{claims}.{'A' * 86}").status == 401
    assert bearing(issuing, ada, unsigned).status == 401


def end_the_session(services, who: Somebody) -> None:
    with services.transaction() as session:
        sessions.end(session, who.identity_id, who.session_id, reason="logout", now=services.now())


def suspend(services, who: Somebody) -> None:
    with services.transaction() as session:
        session.execute(
            text("update members set status = 'suspended' where identity_id = :id"),
            {"id": who.identity_id},
        )


def let_the_session_run_out(services, who: Somebody) -> None:
    with services.transaction() as session:
        session.execute(
            text("update member_sessions set expires_at = :past where session_id = :id"),
            {"id": who.session_id, "past": services.now() - timedelta(seconds=1)},
        )


@pytest.mark.parametrize("taken", [end_the_session, suspend, let_the_session_run_out])
def test_a_token_is_worth_no_more_than_its_session_and_its_member(
    services, issuing, ada, taken: Callable[[object, Somebody], None]
):
    issuing.keto.allowed.add((str(ada.identity_id), "a1"))
    assert bearing(issuing, ada).status == 200

    taken(services, ada)

    # The very next question: nothing is remembered about a token's session.
    assert bearing(issuing, ada).status == 401


def test_a_held_session_needs_its_second_factor_first(services, issuing, ada):
    issuing.keto.allowed.add((str(ada.identity_id), "a1"))
    with services.transaction() as session:
        session.execute(
            text(
                "update member_sessions set hold = 'new_device', hold_since = now()"
                " where session_id = :id"
            ),
            {"id": ada.session_id},
        )

    answered = bearing(issuing, ada)

    assert answered.status == 403
    assert answered.json()["type"] == "urn:kleis:problem:session_aal2_required"
    public = through(
        issuing,
        "x.example.test/assets/a.css",
        Authorization=f"Bearer {ada.tokens.access_token}",
    )
    assert (public.status, public.header("x-kleis-subject")) == (200, "guest")
