"""Tickets of refused logins: what they do, and everything they do not.

Kratos is out of reach here. The logins that give the tickets, and what Kratos does about them, are
in tests/system/test_refused_logins.py.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from integration import member_tickets
from integration.db import api_keys, appeals, members, security_events
from integration.db.session_tables import MemberSession
from integration.db.tables import OutboxEffect
from integration.members import lifecycle, tickets
from integration.services import Services
from policies.authority import Role
from policies.lifecycle import Actor, Status, Trigger
from policies.login_refusals import NextStep
from tests.service.test_one_call_flows import EdgeDouble, api_before
from tests.token_stage import new_member, ring_of, somebody

REACTIVATE = ("/api/auth/reactivate", {})
APPEAL = ("/api/me/appeals", {"statement": "It was not me."})
RESEND = ("/api/auth/resend-verification", {})
PROFILE = ("/api/auth/complete-profile", {"display_name": "Ada"})
TAKES = {
    NextStep.REACTIVATE: REACTIVATE,
    NextStep.APPEAL: APPEAL,
    NextStep.RESEND_VERIFICATION: RESEND,
    NextStep.COMPLETE_PROFILE: PROFILE,
}
STATE = {
    NextStep.REACTIVATE: Status.DEACTIVATED,
    NextStep.APPEAL: Status.SUSPENDED,
    NextStep.RESEND_VERIFICATION: Status.PENDING_VERIFICATION,
    NextStep.COMPLETE_PROFILE: Status.PROVISIONAL,
}
# What needs Kratos, which is out of reach here, says so once the ticket is good.
GOOD = {
    NextStep.REACTIVATE: 200,
    NextStep.APPEAL: 201,
    NextStep.RESEND_VERIFICATION: 503,
    NextStep.COMPLETE_PROFILE: 503,
}
STEPS = pytest.mark.parametrize("step", NextStep)


def member_in(services: Services, status: Status, role: Role = Role.USER) -> UUID:
    """Return a member in a state, which it came into a while ago."""
    identity_id = new_member(services, role)
    with services.transaction() as session:
        row = members.lock(session, identity_id)
        row.status, row.status_changed_at = status, services.now() - timedelta(days=1)
    return identity_id


def ticket_for(services: Services, identity_id: UUID, step: NextStep) -> str:
    with services.transaction() as session:
        member = members.get(session, identity_id)
        return tickets.issue(services.settings, member, step, now=services.now())


def use(api: TestClient, step: NextStep, ticket: str, **more: str):
    path, body = TAKES[step]
    return api.post(path, json={"ticket": ticket, **body, **more})


def kind(answer) -> str:
    return answer.json()["type"].removeprefix("urn:kleis:problem:")


def status_of(services: Services, identity_id: UUID) -> Status:
    with services.transaction() as session:
        return Status(members.get(session, identity_id).status)


def effects_of(services: Services, identity_id: UUID) -> list[str]:
    with services.transaction() as session:
        found = session.scalars(
            select(OutboxEffect)
            .where(OutboxEffect.identity_id == identity_id)
            .order_by(OutboxEffect.seq)
        )
        return [row.payload.get("template") or row.payload.get("name") or row.kind for row in found]


def move(services: Services, identity_id: UUID, trigger: Trigger, actor: Actor) -> None:
    with services.transaction() as session:
        lifecycle.transition(session, identity_id, trigger, actor=actor, now=services.now())


@pytest.fixture
def key(services: Services, api: TestClient):
    """Return a function that makes a caller of the API with a key of these scopes."""

    def key(*scopes: str):
        given, now = frozenset(scopes), services.now()
        with services.transaction() as session:
            token = api_keys.create(session, name="test", scopes=given, expires_at=None, now=now)

        def call(method: str, path: str, **more):
            return api.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)

        return call

    return key


# Abuse.


@STEPS
def test_a_good_ticket_is_taken(services, api, step):
    member = member_in(services, STATE[step])

    assert use(api, step, ticket_for(services, member, step)).status_code == GOOD[step]


def refused(services, api, step, member, ticket) -> None:
    before = status_of(services, member), effects_of(services, member)
    answer = use(api, step, ticket)
    assert (answer.status_code, kind(answer)) == (403, "ticket_refused"), answer.text
    assert (status_of(services, member), effects_of(services, member)) == before


@STEPS
def test_a_forged_ticket_is_refused(services, api, step):
    member = member_in(services, STATE[step])
    good = ticket_for(services, member, step)
    with services.transaction() as session:
        since = members.get(session, member).status_changed_at
    made = member_tickets.issue("not our secret", step, member, since=since, now=services.now())

    for forged in (
        made,
        good[:-1],
        good + "0",
        good.upper(),
        "",
        "...",
        f"{member}",
        "\u0661" * 64,
    ):
        refused(services, api, step, member, forged)


@STEPS
def test_a_ticket_that_is_too_old_is_refused(services, api, clock, step):
    member = member_in(services, STATE[step])
    ticket = ticket_for(services, member, step)

    clock.advance(timedelta(minutes=15))

    refused(services, api, step, member, ticket)


@STEPS
def test_a_ticket_for_something_else_is_refused(services, api, step):
    member = member_in(services, STATE[step])

    for other in set(NextStep) - {step}:
        refused(services, api, step, member, ticket_for(services, member, other))


@STEPS
def test_a_ticket_is_nobody_elses(services, api, step):
    member, other = member_in(services, STATE[step]), member_in(services, STATE[step])
    ticket = ticket_for(services, member, step).replace(str(member), str(other))

    refused(services, api, step, other, ticket)


@STEPS
def test_a_ticket_of_a_state_that_is_over_is_refused(services, api, clock, step):
    """The member left the state and came into it again: what it says now, nobody knows."""
    member = member_in(services, STATE[step])
    ticket = ticket_for(services, member, step)
    with services.transaction() as session:
        members.lock(session, member).status_changed_at = services.now()

    refused(services, api, step, member, ticket)


@STEPS
@pytest.mark.parametrize("status", [Status.BANNED, Status.DELETED, Status.ACTIVE])
def test_a_ticket_does_nothing_to_who_has_no_such_step(services, api, step, status):
    member = member_in(services, STATE[step])
    ticket = ticket_for(services, member, step)
    with services.transaction() as session:
        members.lock(session, member).status = status

    refused(services, api, step, member, ticket)


@pytest.mark.parametrize("step", [NextStep.REACTIVATE, NextStep.APPEAL])
def test_a_ticket_is_used_once(services, api, step):
    member = member_in(services, STATE[step])
    ticket = ticket_for(services, member, step)
    assert use(api, step, ticket).status_code == GOOD[step]

    refused(services, api, step, member, ticket)


@pytest.mark.parametrize("step", [NextStep.REACTIVATE, NextStep.APPEAL])
def test_a_ticket_sent_many_times_at_once_is_used_once(services, api, step):
    member = member_in(services, STATE[step])
    ticket = ticket_for(services, member, step)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: use(api, step, ticket), range(12)))

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [GOOD[step]] + [403] * 11
    if step is NextStep.APPEAL:
        with services.transaction() as session:
            assert len(appeals.page(session, identity_id=member)) == 1


def test_a_ticket_that_led_to_nothing_is_not_used_up(services, api):
    member = member_in(services, Status.SUSPENDED)
    ticket = ticket_for(services, member, NextStep.APPEAL)

    assert kind(use(api, NextStep.APPEAL, ticket, statement=" \n")) == "statement_missing"

    assert use(api, NextStep.APPEAL, ticket).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ticket": None},
        {"ticket": 7},
        {"ticket": "x" * 1000},
        {"ticket": "x", "identity_id": str(uuid4())},
        {"ticket": ["x"]},
    ],
)
def test_what_is_no_request_is_said_so(api, body):
    for path, more in TAKES.values():
        assert api.post(path, json=body | more).status_code == 422


# Reactivation.


def test_who_reactivates_is_active_again_and_told(services, api):
    member = member_in(services, Status.DEACTIVATED)
    ticket = ticket_for(services, member, NextStep.REACTIVATE)
    done = len(effects_of(services, member))

    answer = use(api, NextStep.REACTIVATE, ticket)

    assert answer.json() == {"id": str(member), "status": "active"}
    assert effects_of(services, member)[done:] == [
        "end_sessions",
        "sync_identity",
        "sync_authority",
        "account_reactivated",
        "member.reactivated",
    ]
    with services.transaction() as session:
        last = members.history(session, member)[-1]
        assert (last.trigger, last.actor) == ("reactivation_request", "member")
        [event] = security_events.latest(session, member, before=None, limit=1)
        assert event.kind == "reactivated"


def test_a_member_leaves_for_a_while(services, api):
    ada = somebody(services, ring_of(services))

    answer = api.post("/api/me/deactivation", json={"reason": "a break"}, headers=ada.bearer)

    assert answer.status_code == 204, answer.text
    assert status_of(services, ada.identity_id) is Status.DEACTIVATED
    assert api.get("/api/me", headers=ada.bearer).status_code == 401
    assert "account_deactivated" in effects_of(services, ada.identity_id)


def test_the_last_admin_does_not_leave(services, api):
    admin = somebody(services, ring_of(services), Role.ADMIN)

    answer = api.post("/api/me/deactivation", json={}, headers=admin.bearer)

    assert (answer.status_code, kind(answer)) == (409, "last_admin")
    assert status_of(services, admin.identity_id) is Status.ACTIVE


def test_nobody_leaves_with_an_old_login(services, api):
    ada = somebody(services, ring_of(services))
    with services.transaction() as session:
        row = session.get(MemberSession, ada.session_id)
        row.authenticated_at = services.now() - timedelta(minutes=16)

    answer = api.post("/api/me/deactivation", json={}, headers=ada.bearer)

    assert (answer.status_code, kind(answer)) == (403, "session_refresh_required")
    assert status_of(services, ada.identity_id) is Status.ACTIVE


@pytest.mark.parametrize("body", [{"reason": "\x00"}, {"reason": "x" * 501}, {"why": "x"}, []])
def test_what_is_no_reason_deactivates_nobody(services, api, body):
    ada = somebody(services, ring_of(services))

    answer = api.post("/api/me/deactivation", json=body, headers=ada.bearer)

    assert answer.status_code == 422
    assert status_of(services, ada.identity_id) is Status.ACTIVE


# Another verification mail.


def sent(flow_id: UUID) -> bytes:
    return json.dumps({"id": str(flow_id), "state": "sent_email"}).encode()


def test_another_mail_is_asked_for_through_the_edge_once(services):
    member = member_in(services, Status.PENDING_VERIFICATION)
    with services.transaction() as session:
        email = members.get(session, member).email
    ticket = ticket_for(services, member, NextStep.RESEND_VERIFICATION)
    flow_id = uuid4()
    double = EdgeDouble(200, sent(flow_id))
    with api_before(services, double) as client:
        answer = use(client, NextStep.RESEND_VERIFICATION, ticket)
        again = use(client, NextStep.RESEND_VERIFICATION, ticket)

    assert (answer.status_code, answer.json()) == (202, {"verification_flow_id": str(flow_id)})
    assert (again.status_code, kind(again)) == (403, "ticket_refused")
    assert [path for path, _, _ in double.asked] == [
        "/self-service/verification/api",
        "/self-service/login",  # where the double's flow says
    ]
    assert json.loads(double.asked[1][2]) == {"method": "code", "email": email}


@pytest.mark.parametrize(
    ("double", "status"),
    [
        (
            EdgeDouble(
                429,
                b'{"type": "urn:kleis:problem:too_many_mails", "detail": "Wait."}',
                **{"Retry-After": "60"},
            ),
            429,
        ),
        (EdgeDouble(500, b"{}"), 503),
        (EdgeDouble(400, b'{"state": "choose_method"}'), 503),
    ],
)
def test_a_ticket_that_sent_no_mail_stays_good(services, double, status):
    member = member_in(services, Status.EXPIRED)
    ticket = ticket_for(services, member, NextStep.RESEND_VERIFICATION)
    with api_before(services, double) as client:
        answer = use(client, NextStep.RESEND_VERIFICATION, ticket)
    assert answer.status_code == status
    if status == 429:
        assert (answer.headers["retry-after"], kind(answer)) == ("60", "too_many_mails")

    with api_before(services, EdgeDouble(200, sent(uuid4()))) as client:
        assert use(client, NextStep.RESEND_VERIFICATION, ticket).status_code == 202


@pytest.mark.parametrize("name", ["", "  ", "<b>Ada</b>", "x" * 51])
def test_a_profile_needs_a_name_that_may_be_shown(services, api, name):
    member = member_in(services, Status.PROVISIONAL)
    ticket = ticket_for(services, member, NextStep.COMPLETE_PROFILE)

    answer = use(api, NextStep.COMPLETE_PROFILE, ticket, display_name=name)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/display_name"
    assert status_of(services, member) is Status.PROVISIONAL


# Appeals.


@pytest.fixture
def appealed(services, api):
    """Somebody suspended who appealed: the member and the appeal's id."""
    member = member_in(services, Status.SUSPENDED)
    answer = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL))
    assert answer.status_code == 201, answer.text
    return member, answer.json()["id"]


def test_an_appeal_is_recorded_told_and_read_by_who_may(services, key, appealed):
    member, appeal_id = appealed
    assert effects_of(services, member)[-2:] == ["appeal_received", "appeal.made"]
    call = key("identities:read")

    listed = call("GET", "/api/admin/appeals", params={"state": "open"}).json()["items"]

    [seen] = [item for item in listed if item["id"] == appeal_id]
    assert (seen["member"], seen["state"]) == (str(member), "open")
    assert seen["statement"] == APPEAL[1]["statement"]
    assert call("GET", f"/api/admin/appeals/{appeal_id}").json() == seen
    assert call("GET", f"/api/admin/appeals/{uuid4()}").status_code == 404
    assert call("GET", "/api/admin/appeals", params={"member": str(uuid4())}).json()["items"] == []


def test_an_accepted_appeal_lets_the_member_back_in(services, key, api, appealed):
    member, appeal_id = appealed
    done = len(effects_of(services, member))

    answer = key("identities:write")(
        "POST", f"/api/admin/appeals/{appeal_id}/accept", json={"reason": "You were right."}
    )

    assert (answer.status_code, answer.json()["state"]) == (200, "accepted"), answer.text
    assert answer.json()["decided_by"].startswith("key:")
    assert status_of(services, member) is Status.ACTIVE
    assert effects_of(services, member)[done:] == [
        "end_sessions",
        "sync_identity",
        "sync_authority",
        "appeal_accepted",
        "appeal.accepted",
    ]
    with services.transaction() as session:
        last = members.history(session, member)[-1]
        assert (last.trigger, last.reason) == ("appeal_approved", "You were right.")


def test_a_rejected_appeal_leaves_it_suspended_and_may_be_made_again_after_a_week(
    services, key, api, clock, appealed
):
    member, appeal_id = appealed
    reject = f"/api/admin/appeals/{appeal_id}/reject"
    call = key("identities:write")
    assert kind(call("POST", reject, json={"reason": " "})) == "reason_missing"

    assert call("POST", reject, json={"reason": "No."}).json()["state"] == "rejected"

    assert status_of(services, member) is Status.SUSPENDED
    assert effects_of(services, member)[-2:] == ["appeal_rejected", "appeal.rejected"]
    for verdict in ("accept", "reject"):
        answer = call("POST", f"/api/admin/appeals/{appeal_id}/{verdict}", json={"reason": "x"})
        assert (answer.status_code, kind(answer)) == (409, "appeal_not_open")
    clock.advance(timedelta(days=6))
    early = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL))
    assert (early.status_code, kind(early)) == (409, "appeal_too_soon")
    clock.advance(timedelta(days=1))
    late = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL))
    assert late.status_code == 201


def test_one_appeal_at_a_time(services, api, clock, appealed):
    member, _ = appealed
    clock.advance(timedelta(seconds=1))

    answer = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL))

    assert (answer.status_code, kind(answer)) == (409, "appeal_open")


def test_an_appeal_is_moot_once_the_suspension_is_over_and_a_new_one_can_be_appealed(
    services, api, clock, key, appealed
):
    member, appeal_id = appealed
    move(services, member, Trigger.ADMIN_ENABLE, Actor.ADMIN)
    shown = key("identities:read")("GET", f"/api/admin/appeals/{appeal_id}").json()
    assert (shown["state"], shown["decided_by"]) == ("moot", "system")
    clock.advance(timedelta(hours=1))
    move(services, member, Trigger.POLICY_VIOLATION, Actor.MODERATOR)

    answer = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL))

    assert answer.status_code == 201, answer.text


def test_who_is_banned_meanwhile_is_not_let_in_by_an_appeal(services, key, appealed):
    member, appeal_id = appealed
    move(services, member, Trigger.REPEAT_VIOLATION, Actor.ADMIN)

    answer = key("identities:write")("POST", f"/api/admin/appeals/{appeal_id}/accept", json={})

    assert (answer.status_code, kind(answer)) == (409, "appeal_not_open")
    assert status_of(services, member) is Status.BANNED


def test_what_a_deleted_member_said_is_gone(services, key, appealed):
    member, appeal_id = appealed
    move(services, member, Trigger.ADMIN_DELETION, Actor.ADMIN)

    assert key("identities:read")("GET", f"/api/admin/appeals/{appeal_id}").status_code == 404


def test_moderators_read_appeals_and_admins_decide_them(services, api, key, appealed):
    member, appeal_id = appealed
    ring = ring_of(services)
    user, moderator = somebody(services, ring), somebody(services, ring, Role.MODERATOR)
    admin = somebody(services, ring, Role.ADMIN)
    accept = f"/api/admin/appeals/{appeal_id}/accept"

    assert api.get("/api/admin/appeals", headers=user.bearer).status_code == 403
    assert api.get("/api/admin/appeals", headers=moderator.bearer).status_code == 200
    assert api.get("/api/admin/appeals").status_code == 401
    assert kind(api.post(accept, json={}, headers=moderator.bearer)) == "permission_missing"
    assert kind(key("identities:read")("POST", accept, json={})) == "scope_missing"
    assert kind(key("permissions:write")("POST", accept, json={})) == "scope_missing"
    assert api.post(accept, json={}, headers=admin.bearer).status_code == 200
    with services.transaction() as session:
        assert members.history(session, member)[-1].actor == "admin"


def test_nobody_gives_a_role_back_that_holds_more(services, api, key):
    """A moderator who was granted to decide lets users in again, and no admin."""
    member = member_in(services, Status.SUSPENDED, Role.ADMIN)
    made = use(api, NextStep.APPEAL, ticket_for(services, member, NextStep.APPEAL)).json()
    other = member_in(services, Status.SUSPENDED)
    more = use(api, NextStep.APPEAL, ticket_for(services, other, NextStep.APPEAL)).json()
    moderator = somebody(services, ring_of(services), Role.MODERATOR)
    wish = {
        "subject": str(moderator.identity_id),
        "permission": "appeals.decide",
        "reason": "a test",
    }
    granted = key("permissions:write", "roles:write")("POST", "/api/admin/grants", json=wish)
    assert granted.status_code == 201, granted.text

    def accept(appeal):
        path = f"/api/admin/appeals/{appeal['id']}/accept"
        return api.post(path, json={}, headers=moderator.bearer)

    assert kind(accept(made)) == "role_not_held"
    assert status_of(services, member) is Status.SUSPENDED
    assert accept(more).status_code == 200
    with services.transaction() as session:
        assert members.history(session, other)[-1].actor == "moderator"


def test_two_who_decide_at_the_same_time_decide_once(services, key, appealed):
    member, appeal_id = appealed
    call = key("identities:write")

    def decide(verdict: str) -> int:
        path = f"/api/admin/appeals/{appeal_id}/{verdict}"
        return call("POST", path, json={"reason": "so"}).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(decide, ["accept", "reject"] * 3))

    assert answers == [200, 409, 409, 409, 409, 409]
    with services.transaction() as session:
        [appeal] = appeals.page(session, identity_id=member)
    expected = {"accepted": Status.ACTIVE, "rejected": Status.SUSPENDED}
    assert status_of(services, member) is expected[appeal.state]


@pytest.mark.parametrize("statement", ["", "\x00", "x" * 4001, None, 7])
def test_an_appeal_needs_words_that_can_be_kept(services, api, statement):
    member = member_in(services, Status.SUSPENDED)
    ticket = ticket_for(services, member, NextStep.APPEAL)

    answer = api.post("/api/me/appeals", json={"ticket": ticket, "statement": statement})

    assert answer.status_code == 422
    with services.transaction() as session:
        assert appeals.page(session, identity_id=member) == []


def test_a_member_reads_its_own_appeals_and_nobody_elses(services, api, key, appealed):
    member, appeal_id = appealed
    ada = somebody(services, ring_of(services))
    assert api.get("/api/me/appeals", headers=ada.bearer).json()["items"] == []
    with services.transaction() as session:
        [row] = appeals.page(session, identity_id=member)
        row.identity_id = ada.identity_id
    [own] = api.get("/api/me/appeals", headers=ada.bearer).json()["items"]
    assert own["id"] == appeal_id
    assert "decided_by" not in own
    assert api.get("/api/me/appeals").status_code == 401
