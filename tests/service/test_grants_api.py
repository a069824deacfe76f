"""The admin API of permissions, roles, grants and their audit log, on a real database."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from integration.authority import catalogue, elevations, grants, permissions
from integration.authority.admins import THE_OPERATOR, Admin
from integration.authority.grants import Rules
from integration.db import api_keys, authority_audit, epochs, members
from integration.db import grants as rows
from integration.db.authority_audit import By, Filter
from integration.db.tables import OutboxEffect
from integration.errors import ConflictError, ForbiddenError, KleisError, LimitedError
from integration.members import lifecycle, roles
from integration.tasks import expiry
from policies.authority import Role
from policies.elevations import ElevationState
from policies.grants import Wish
from policies.lifecycle import Actor, Trigger
from policies.permissions import Permission
from policies.registration import RegistrationAttempt, new_member

GRANTS = "/api/admin/grants"
HOUR = timedelta(hours=1)
NO_RULES = Rules()


@pytest.fixture
def join(services):
    """Return a function that makes a member of a role."""

    def join(role: Role = Role.USER) -> UUID:
        identity_id = uuid4()
        name = f"m{identity_id.hex[:12]}"
        attempt = RegistrationAttempt(email=f"{name}@example.test", username=name)
        with services.transaction() as session:
            lifecycle.adopt(session, identity_id, new_member(attempt), role, now=services.now())
        return identity_id

    return join


@pytest.fixture
def key(services, api):
    """Return a function that makes a client with an API key of these scopes."""

    def key(*scopes: str):
        with services.transaction() as session:
            token = api_keys.create(
                session,
                name="test",
                scopes=frozenset(scopes),
                expires_at=None,
                now=services.now(),
            )
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "request-7"}

        def call(method, path, **options):
            return api.request(
                method, path, headers={**headers, **options.pop("headers", {})}, **options
            )

        return call

    return key


def wish(member, permission="comments.moderate", **more):
    return {"subject": str(member), "permission": permission, "reason": "on call", **more}


def kind(answer):
    return answer.json()["type"].removeprefix("urn:kleis:problem:")


def as_member(member):
    return Admin(By(f"member:{member}"), member_id=member)


def give(services, admin, member, permission, expires_at=None, *, rules=NO_RULES):
    with services.transaction() as session:
        return grants.grant(
            session,
            admin,
            member,
            Wish(permission, expires_at, "on call"),
            rules=rules,
            now=services.now(),
        )


def audit_of(services, member):
    with services.transaction() as session:
        wanted = Filter(subject_id=member)
        return authority_audit.page(session, wanted, before_id=None, limit=100)


def effects_of(services, member):
    with services.transaction() as session:
        statement = select(OutboxEffect).where(OutboxEffect.identity_id == member)
        return [
            (row.kind, row.payload) for row in session.scalars(statement.order_by(OutboxEffect.seq))
        ]


# Who is let in.

NOBODY = "6f1ed002-ab55-41c9-8d3e-ffb0c1d2e3f4"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", GRANTS),
        ("POST", GRANTS),
        ("GET", f"{GRANTS}/{NOBODY}"),
        ("PATCH", f"{GRANTS}/{NOBODY}"),
        ("DELETE", f"{GRANTS}/{NOBODY}"),
        ("GET", "/api/admin/roles"),
        ("GET", "/api/admin/roles/user/members"),
        ("PUT", f"/api/admin/members/{NOBODY}/role"),
        ("GET", "/api/admin/permissions"),
        ("POST", "/api/admin/permissions"),
        ("DELETE", "/api/admin/permissions/invoices.pay"),
        ("GET", "/api/admin/elevations"),
        ("POST", f"/api/admin/elevations/{NOBODY}/approve"),
        ("POST", f"/api/admin/elevations/{NOBODY}/deny"),
        ("GET", "/api/admin/audit"),
    ],
)
def test_the_admin_api_is_closed(api, key, method, path):
    assert api.request(method, path).status_code == 401
    wrong = {"Authorization": "Bearer kleis_0123456789abcdef_nothing"}
    assert api.request(method, path, headers=wrong).status_code == 401
    answer = key("identities:write")(method, path)
    assert answer.status_code == 403
    assert kind(answer) == "scope_missing"


def test_a_session_that_cannot_be_checked_opens_nothing(api):
    answer = api.get(GRANTS, headers={"X-Session-Token": "ory_st_x"})
    assert answer.status_code == 503


def test_reading_is_not_writing(key, join):
    reading = key("permissions:read")
    assert reading("GET", GRANTS).status_code == 200
    assert kind(reading("POST", GRANTS, json=wish(join()))) == "scope_missing"


def test_a_key_without_roles_write_changes_no_role_and_opens_no_admin_api(key, join):
    member = join()
    call = key("permissions:write", "identities:write", "operations:write", "roles:read")
    answer = call("PUT", f"/api/admin/members/{member}/role", json={"role": "admin", "reason": "x"})
    assert kind(answer) == "scope_missing"
    for permission in ("*", "roles.write", "grants.*", "keys.write", "members.suspend"):
        answer = call("POST", GRANTS, json=wish(member, permission))
        assert answer.status_code == 403
        assert kind(answer) == "scope_missing"
    assert call("GET", GRANTS).json()["items"] == []


# Grants.


def test_a_grant_is_recorded_with_who_why_and_until_when(services, key, join, clock):
    member = join()
    until = clock.now + HOUR
    with services.transaction() as session:
        before = epochs.current(session, member)

    answer = key("permissions:write")(
        "POST", GRANTS, json=wish(member, expires_at=until.isoformat())
    )

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["subject"] == str(member)
    assert body["permission"] == "comments.moderate"
    assert body["granted_by"].startswith("key:")
    assert body["state"] == "active"
    with services.transaction() as session:
        assert epochs.current(session, member) == before + 1
        assert epochs.is_settling(session, member)
        assert "comments.moderate" in permissions.names_of(session, member, clock.now)
        assert "comments.moderate" not in permissions.names_of(session, member, until)
    told = effects_of(services, member)[-3:]
    assert [name for name, _ in told] == ["sync_authority", "send_mail", "publish_event"]
    (entry,) = audit_of(services, member)
    assert (entry.action, entry.reason, entry.request_id) == (
        "grant.created",
        "on call",
        "request-7",
    )
    assert entry.after["expires_at"] == until.isoformat()


def test_the_same_grant_twice_is_a_conflict_with_the_first_ones_id(key, join):
    member, call = join(), key("permissions:write")
    first = call("POST", GRANTS, json=wish(member)).json()
    second = call("POST", GRANTS, json=wish(member))
    assert second.status_code == 409
    assert second.json()["id"] == first["id"]


def test_the_same_idempotency_key_is_the_same_grant(services, key, join):
    member, call = join(), key("permissions:write")
    headers = {"Idempotency-Key": "abc"}
    first = call("POST", GRANTS, json=wish(member), headers=headers)
    second = call("POST", GRANTS, json=wish(member), headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = call("POST", GRANTS, json=wish(member, "reports.review"), headers=headers)
    assert kind(other) == "idempotency_key_reused"
    assert len(audit_of(services, member)) == 1


def test_the_same_idempotency_key_is_the_same_grant_also_once_its_end_was_moved(key, join, clock):
    member, call = join(), key("permissions:write")
    headers = {"Idempotency-Key": "abc"}
    asked = wish(member, expires_at=(clock.now + HOUR).isoformat())
    first = call("POST", GRANTS, json=asked, headers=headers).json()
    end = {"expires_at": (clock.now + 2 * HOUR).isoformat()}
    renewed = call("PATCH", f"{GRANTS}/{first['id']}", json=end).json()

    again = call("POST", GRANTS, json=asked, headers=headers)

    assert (again.status_code, again.json()) == (201, renewed)
    other = call("POST", GRANTS, json=asked | end, headers=headers)
    assert kind(other) == "idempotency_key_reused"


def test_many_who_grant_the_same_at_once_make_one_grant(services, join):
    member = join()

    def grant(_):
        try:
            give(services, THE_OPERATOR, member, "comments.moderate")
        except ConflictError as error:
            return error.problem
        return "made"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(grant, range(8)))
    assert sorted(outcomes) == ["grant_exists"] * 7 + ["made"]


def test_after_its_end_the_same_can_be_granted_again_whoever_noticed(services, key, join, clock):
    member, call = join(), key("permissions:write")
    until = (clock.now + HOUR).isoformat()
    first = call("POST", GRANTS, json=wish(member, expires_at=until)).json()
    clock.advance(HOUR)
    assert call("GET", f"{GRANTS}/{first['id']}").json()["state"] == "expired"

    second = call("POST", GRANTS, json=wish(member))

    assert second.status_code == 201
    actions = [entry.action for entry in audit_of(services, member)]
    assert actions == ["grant.created", "grant.expired", "grant.created"]


def test_a_revoked_grant_counts_no_more_and_is_revoked_once(services, key, join, clock):
    member, call = join(), key("permissions:write")
    made = call("POST", GRANTS, json=wish(member)).json()
    address = f"{GRANTS}/{made['id']}"
    assert call("DELETE", f"{address}?reason=done").status_code == 204
    assert call("DELETE", address).status_code == 204
    with services.transaction() as session:
        assert "comments.moderate" not in permissions.names_of(session, member, clock.now)
        assert epochs.is_settling(session, member)
    entries = audit_of(services, member)
    assert [entry.action for entry in entries] == ["grant.revoked", "grant.created"]
    assert entries[0].reason == "done"
    assert call("DELETE", f"{GRANTS}/{uuid4()}").status_code == 404


def test_an_end_that_the_database_reads_and_nobody_else_is_refused(services, key, join):
    member, call = join(), key("permissions:write")
    made = call("POST", GRANTS, json=wish(member)).json()
    for end in ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z"):
        new = wish(join(), expires_at=end)
        assert kind(call("POST", GRANTS, json=new)) == "expiry_too_far"
        renewed = call("PATCH", f"{GRANTS}/{made['id']}", json={"expires_at": end})
        assert kind(renewed) == "expiry_too_far"
    assert call("GET", GRANTS).status_code == 200


def test_a_renewal_moves_the_end_and_a_grant_that_ended_has_none(services, key, join, clock):
    member, call = join(), key("permissions:write")
    until = clock.now + HOUR
    made = call("POST", GRANTS, json=wish(member, expires_at=until.isoformat())).json()
    address = f"{GRANTS}/{made['id']}"
    later = {"expires_at": (until + HOUR).isoformat()}
    assert call("PATCH", address, json=later).status_code == 200
    clock.advance(HOUR)
    assert call("GET", address).json()["state"] == "active"
    past = call("PATCH", address, json={"expires_at": clock.now.isoformat()})
    assert kind(past) == "expiry_past"
    clock.advance(HOUR)
    assert kind(call("PATCH", address, json={"expires_at": None})) == "grant_ended"
    with services.transaction() as session:
        assert "comments.moderate" not in permissions.names_of(session, member, clock.now)


def test_who_is_not_active_is_granted_nothing_and_who_is_banned_keeps_nothing(
    services, key, join, clock
):
    member, call = join(), key("permissions:write")
    made = call("POST", GRANTS, json=wish(member)).json()
    with services.transaction() as session:
        lifecycle.transition(
            session, member, Trigger.SEVERE_VIOLATION, actor=Actor.ADMIN, now=clock.now
        )
    assert call("GET", f"{GRANTS}/{made['id']}").json()["state"] == "revoked"
    with services.transaction() as session:
        assert permissions.names_of(session, member, clock.now) == []
    answer = call("POST", GRANTS, json=wish(member, "reports.review"))
    assert answer.status_code == 409
    assert kind(answer) == "member_not_active"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"subject": "nobody"}, 422),
        ({"subject": str(uuid4())}, 404),
        ({"permission": "no.such"}, 422),
        ({"permission": "Content.Publish"}, 422),
        ({"permission": "content.publish\x00"}, 422),
        ({"permission": "x" * 129}, 422),
        ({"permission": ["*"]}, 422),
        ({"reason": ""}, 422),
        ({"reason": "  "}, 422),
        ({"reason": "a\x00b"}, 422),
        ({"reason": "x" * 501}, 422),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2999-01-01T00:00:00"}, 422),
        ({"expires_at": "soon"}, 422),
        ({"granted_by": "member:me"}, 422),
        ({"id": str(uuid4())}, 422),
    ],
)
def test_bad_input_is_a_typed_refusal_and_nothing_is_written(services, key, join, change, status):
    member, call = join(), key("permissions:write", "roles:write")
    answer = call("POST", GRANTS, json={**wish(member), **change})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert call("GET", GRANTS).json()["items"] == []
    assert audit_of(services, member) == []


def test_duties_that_exclude_each_other_are_not_granted_together(services, join):
    member = join()
    rules = Rules(conflicts=frozenset({("comments.moderate", "reports.review")}))
    give(services, THE_OPERATOR, member, "comments.moderate", rules=rules)
    with pytest.raises(ConflictError) as refused:
        give(services, THE_OPERATOR, member, "reports.review", rules=rules)
    assert refused.value.problem == "duties_conflict"


def test_a_member_hands_on_what_it_holds_and_no_longer_than_that(services, join, clock):
    giver, member = join(Role.CREATOR), join()
    give(services, THE_OPERATOR, giver, "comments.moderate", clock.now + HOUR)

    def refused(permission, expires_at=None):
        with pytest.raises(ForbiddenError) as error:
            give(services, as_member(giver), member, permission, expires_at)
        return error.value.problem

    assert refused("reports.review") == "permission_not_held"
    assert refused("comments.*") == "permission_not_held"
    assert refused("comments.moderate") == "expiry_beyond_own"
    assert refused("comments.moderate", clock.now + 2 * HOUR) == "expiry_beyond_own"
    give(services, as_member(giver), member, "comments.moderate", clock.now + HOUR)
    clock.advance(HOUR)
    assert refused("comments.moderate", clock.now + HOUR) == "permission_not_held"


# Lists.


def test_grants_come_in_pages_without_gaps_or_repeats(services, key, join, clock):
    call = key("permissions:write")
    member = join()
    names = sorted(name for name in ("comments.moderate", "reports.review", "content.moderate"))
    for name in names:
        clock.advance(timedelta(seconds=1))
        call("POST", GRANTS, json=wish(member, name))
    seen, address = [], f"{GRANTS}?limit=2&subject={member}"
    while address:
        answer = call("GET", address)
        seen += [item["permission"] for item in answer.json()["items"]]
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["next_cursor"] is None)
        address = link and link.partition(">")[0].lstrip("<")
    assert seen == names[::-1]


@pytest.mark.parametrize(
    "path",
    [GRANTS, "/api/admin/audit", "/api/admin/roles/user/members", "/api/admin/elevations"],
)
def test_a_cursor_of_somebody_elses_making_is_refused(key, path):
    call = key("permissions:read", "roles:read", "operations:read")
    for cursor in (
        "x",
        "",
        "bm90IGpzb24",
        "W10",
        "W251bGxd",
        "WyIyMDI2IiwgIngiXQ",
        "é",
        "eyJhIjoxfQ",
    ):
        answer = call("GET", path, params={"cursor": cursor})
        assert answer.status_code == 422, cursor
        assert kind(answer) == "cursor_invalid"


def test_a_limit_has_bounds(key):
    call = key("permissions:read")
    for limit in (0, -1, 201, 10**9):
        assert call("GET", f"{GRANTS}?limit={limit}").status_code == 422


# Roles.


def test_roles_are_listed_with_what_they_may_and_who_has_them(key, join):
    creator = join(Role.CREATOR)
    call = key("roles:read")
    listed = {item["role"]: item for item in call("GET", "/api/admin/roles").json()["items"]}
    assert list(listed) == ["user", "creator", "moderator", "admin"]
    assert "content.publish" in listed["moderator"]["permissions"]
    assert "content.publish" not in listed["user"]["permissions"]
    assert listed["creator"]["members"] == 1
    holders = call("GET", "/api/admin/roles/creator/members").json()["items"]
    assert [holder["id"] for holder in holders] == [str(creator)]
    assert call("GET", "/api/admin/roles/emperor/members").status_code == 422


def test_a_role_is_changed_told_and_recorded(services, key, join):
    member, call = join(), key("roles:write")
    body = {"role": "moderator", "reason": "promoted"}
    answer = call("PUT", f"/api/admin/members/{member}/role", json=body)
    assert answer.json() == {"id": str(member), "role": "moderator", "before": "user"}
    with services.transaction() as session:
        assert members.get(session, member).role == Role.MODERATOR
        assert epochs.is_settling(session, member)
    kinds = [name for name, _ in effects_of(services, member)][-4:]
    assert kinds == ["sync_authority", "sync_identity", "send_mail", "publish_event"]
    (entry,) = audit_of(services, member)
    assert (entry.before, entry.after) == ({"role": "user"}, {"role": "moderator"})
    call("PUT", f"/api/admin/members/{member}/role", json=body)
    assert len(audit_of(services, member)) == 1
    assert call("PUT", f"/api/admin/members/{uuid4()}/role", json=body).status_code == 404


def test_the_last_admin_cannot_be_removed_even_by_two_at_once(services, key, join):
    first, second = join(Role.ADMIN), join(Role.ADMIN)

    def demote(pair):
        by, whom = pair
        try:
            with services.transaction() as session:
                roles.assign(session, as_member(by), whom, Role.USER, "coup", now=services.now())
        except KleisError as error:
            return error.problem
        return "done"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(demote, [(first, second), (second, first)]))
    assert outcomes[0] == "done"
    assert outcomes[1] in {"last_admin", "role_not_held"}
    body = {"role": "user", "reason": "x"}
    call = key("roles:write")
    with services.transaction() as session:
        left = first if members.get(session, first).role == Role.ADMIN else second
    assert kind(call("PUT", f"/api/admin/members/{left}/role", json=body)) == "last_admin"


# Permissions.


def test_permissions_are_listed_and_added_once(key, join):
    call = key("permissions:write")
    new = {"name": "invoices.pay", "description": "Pay.", "lowest_role": "creator"}
    assert call("POST", "/api/admin/permissions", json=new).status_code == 201
    assert call("POST", "/api/admin/permissions", json=new).status_code == 200
    other = {**new, "lowest_role": "user"}
    assert kind(call("POST", "/api/admin/permissions", json=other)) == "permission_exists"
    reserved = {"name": "roles.write", "lowest_role": "user"}
    answer = call("POST", "/api/admin/permissions", json=reserved)
    assert kind(answer) == "permission_name_reserved"
    listed = call("GET", "/api/admin/permissions").json()["items"]
    assert {"name": "invoices.pay", "built_in": False}.items() <= next(
        item for item in listed if item["name"] == "invoices.pay"
    ).items()


@pytest.mark.parametrize("name", ["*", "content.*", "roles.write", "grants.*", "invoices.*"])
def test_a_key_without_roles_write_gives_no_role_a_wildcard_or_what_is_the_platforms(
    services, key, join, clock, name
):
    user, plain = join(), key("permissions:write")
    path = "/api/admin/permissions"
    new = {"name": name, "lowest_role": "user"}

    assert plain("POST", path, json=new).status_code in (403, 422)

    with services.transaction() as session:
        assert name not in permissions.names_of(session, user, clock.now)


def test_a_key_with_roles_write_gives_roles_a_wildcard_and_only_such_takes_it(
    services, key, join, clock
):
    user, path = join(), "/api/admin/permissions"
    plain, chief = key("permissions:write"), key("permissions:write", "roles:write")
    new = {"name": "invoices.*", "lowest_role": "user"}
    answer = plain("POST", path, json=new)
    assert (answer.status_code, kind(answer)) == (403, "scope_missing")

    assert chief("POST", path, json=new).status_code == 201

    with services.transaction() as session:
        assert "invoices.*" in permissions.names_of(session, user, clock.now)
    answer = plain("DELETE", f"{path}/invoices.*")
    assert (answer.status_code, kind(answer)) == (403, "scope_missing")
    assert chief("DELETE", f"{path}/invoices.*").status_code == 204


def test_an_added_permission_is_held_by_its_role(services, key, join, clock):
    creator, user = join(Role.CREATOR), join()
    new = {"name": "invoices.pay", "lowest_role": "creator"}
    key("permissions:write")("POST", "/api/admin/permissions", json=new)
    with services.transaction() as session:
        assert "invoices.pay" in permissions.names_of(session, creator, clock.now)
        assert "invoices.pay" not in permissions.names_of(session, user, clock.now)


def test_a_removed_permission_is_nobodys_and_can_be_added_anew(services, key, join, clock):
    creator, call = join(Role.CREATOR), key("permissions:write")
    new = {"name": "invoices.pay", "lowest_role": "creator"}
    call("POST", "/api/admin/permissions", json=new)
    path = "/api/admin/permissions/invoices.pay"

    assert call("DELETE", path, params={"reason": "no invoices"}).status_code == 204

    assert call("DELETE", path).status_code == 404
    listed = call("GET", "/api/admin/permissions").json()["items"]
    assert "invoices.pay" not in [item["name"] for item in listed]
    assert kind(call("POST", GRANTS, json=wish(join(), "invoices.pay"))) == "permission_unknown"
    with services.transaction() as session:
        assert "invoices.pay" not in permissions.names_of(session, creator, clock.now)
        (noted,) = authority_audit.page(
            session, Filter(action="permission.removed"), before_id=None, limit=9
        )
    assert (noted.before["name"], noted.before["lowest_role"]) == ("invoices.pay", "creator")
    assert noted.reason == "no invoices"
    assert call("POST", "/api/admin/permissions", json=new).status_code == 201


def test_what_is_granted_or_not_of_the_application_is_not_removed(services, key, join):
    call = key("permissions:write")
    for name in ("invoices.pay", "invoices.see", "orders.pay"):
        call("POST", "/api/admin/permissions", json={"name": name})
    direct = give(services, THE_OPERATOR, join(), "invoices.pay").id
    wide = give(services, THE_OPERATOR, join(), "orders.*").id

    def remove(name):
        return call("DELETE", f"/api/admin/permissions/{name}")

    assert kind(remove("invoices.pay")) == "permission_granted"
    # The last one below a wildcard that somebody has.
    assert kind(remove("orders.pay")) == "permission_granted"
    for name in ("content.publish", "roles.write", "orders.*", "*", "nothing.such"):
        assert remove(name).status_code == 404
    assert remove("invoices.see").status_code == 204
    for grant_id, name in ((direct, "invoices.pay"), (wide, "orders.pay")):
        assert call("DELETE", f"{GRANTS}/{grant_id}").status_code == 204
        assert remove(name).status_code == 204


def test_a_grant_and_a_removal_at_once_do_not_both_happen(services, join):
    add_permission(services, "invoices.pay")
    subject, granted = join(), threading.Event()

    def remove() -> str:
        granted.wait(30)
        try:
            with services.transaction() as session:
                catalogue.remove(
                    session, THE_OPERATOR, "invoices.pay", reason="", now=services.now()
                )
        except KleisError as error:
            return error.problem
        return "removed"

    with ThreadPoolExecutor(1) as pool:
        removing = pool.submit(remove)
        with services.transaction() as session:
            wanted = Wish("invoices.pay", None, "on call")
            grants.grant(session, THE_OPERATOR, subject, wanted, rules=NO_RULES, now=services.now())
            granted.set()
            until_it_waits(services)
        assert removing.result(30) == "permission_granted"


def add_permission(services, name):
    with services.transaction() as session:
        catalogue.add(session, THE_OPERATOR, Permission(name), now=services.now())


def until_it_waits(services):
    """Return when some transaction waits for another one."""
    deadline = time.monotonic() + 30
    with services.transaction() as session:
        while not session.scalar(text("select 1 from pg_locks where not granted")):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_member_removes_only_what_it_holds(services, join):
    add_permission(services, "invoices.pay")
    with pytest.raises(KleisError) as refused, services.transaction() as session:
        catalogue.remove(
            session, as_member(join(Role.MODERATOR)), "invoices.pay", reason="", now=services.now()
        )
    assert refused.value.problem == "permission_not_held"


# Elevations.


def ask(services, member, permission="comments.moderate"):
    with services.transaction() as session:
        return elevations.request(
            session,
            By(f"member:{member}"),
            member,
            permission,
            HOUR,
            reason="on call",
            rules=NO_RULES,
            now=services.now(),
        ).id


def decide(services, by, elevation_id, *, approve=True):
    with services.transaction() as session:
        if approve:
            return elevations.approve(
                session, as_member(by), elevation_id, "", rules=NO_RULES, now=services.now()
            )[0]
        return elevations.deny(session, as_member(by), elevation_id, "no", now=services.now())


def test_a_member_asks_so_often_and_no_more_however_its_requests_end(services, join, clock):
    member, chief, other = join(), join(Role.ADMIN), join()
    for name in ("comments.moderate", "reports.review") * 5:
        asked = ask(services, member, name)
        clock.advance(timedelta(minutes=1))
        decide(services, chief, asked, approve=False)

    with pytest.raises(LimitedError) as limited:
        ask(services, member)

    # The first of the ten was ten minutes ago.
    assert limited.value.retry_after == str(50 * 60)
    assert limited.value.limit == ("elevations", 10, 3600)
    ask(services, other)
    clock.advance(timedelta(minutes=50))
    ask(services, member)


def test_an_approved_request_counts_for_its_time_and_ends_by_itself(services, join, clock):
    member, chief = join(), join(Role.ADMIN)
    asked = ask(services, member)
    clock.advance(timedelta(minutes=10))
    known = decide(services, chief, asked)
    assert known.state == ElevationState.APPROVED
    with services.transaction() as session:
        made = rows.get(session, known.grant_id)
        assert made.expires_at == clock.now + HOUR
        assert "comments.moderate" in permissions.names_of(session, member, clock.now)
    clock.advance(HOUR)
    expiry.expire(services)
    actions = [entry.action for entry in audit_of(services, member)]
    assert actions == [
        "grant.expired",
        "elevation.approved",
        "grant.created",
        "elevation.requested",
    ]


def test_the_same_is_not_asked_twice_and_decided_once(services, join):
    member, chief = join(), join(Role.ADMIN)
    asked = ask(services, member)
    with pytest.raises(ConflictError) as again:
        ask(services, member)
    assert again.value.facts == {"id": str(asked)}

    def outcome(approve):
        try:
            return decide(services, chief, asked, approve=approve).state
        except ConflictError as error:
            return error.problem

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(outcome, (True, False)))
    assert outcomes.count("elevation_not_open") == 1


def test_one_does_not_decide_for_oneself(services, join):
    member = join(Role.CREATOR)
    give(services, THE_OPERATOR, member, "grants.write")
    asked = ask(services, member)
    for approve in (True, False):
        with pytest.raises(ForbiddenError) as refused:
            decide(services, member, asked, approve=approve)
        assert refused.value.problem == "same_person"


def test_a_key_denies_and_does_not_approve(services, key, join):
    asked = ask(services, join())
    call = key("permissions:write", "roles:write")
    address = f"/api/admin/elevations/{asked}"
    assert kind(call("POST", f"{address}/approve", json={})) == "person_required"
    assert kind(call("POST", f"{address}/deny", json={})) == "reason_missing"
    assert call("POST", f"{address}/deny", json={"reason": "no"}).json()["state"] == "denied"
    listed = call("GET", "/api/admin/elevations?state=denied").json()["items"]
    assert [item["id"] for item in listed] == [str(asked)]


def test_a_request_nobody_decides_lapses_and_makes_room(services, join, clock):
    member, chief = join(), join(Role.ADMIN)
    asked = ask(services, member)
    clock.advance(timedelta(days=1))
    with pytest.raises(ConflictError) as late:
        decide(services, chief, asked)
    assert late.value.problem == "elevation_lapsed"
    second = ask(services, member)
    clock.advance(timedelta(days=1))
    expiry.expire(services)
    with services.transaction() as session:
        states = [elevations.rows.get(session, each).state for each in (asked, second)]
    assert states == ["expired", "expired"]


def test_only_who_asked_withdraws(services, join):
    member, other = join(), join()
    asked = ask(services, member)

    def withdraw(by):
        with services.transaction() as session:
            return elevations.withdraw(
                session, By(f"member:{by}"), by, asked, now=services.now()
            ).state

    with pytest.raises(KleisError) as hidden:
        withdraw(other)
    assert hidden.value.problem == "elevation_unknown"
    assert withdraw(member) == ElevationState.WITHDRAWN


# Audit.


def test_the_audit_log_is_filtered_and_paged(key, join):
    call = key("permissions:write", "operations:read")
    one, other = join(), join()
    for member in (one, other):
        made = call("POST", GRANTS, json=wish(member)).json()
        call("DELETE", f"{GRANTS}/{made['id']}")
    path = "/api/admin/audit"
    assert len(call("GET", path).json()["items"]) == 4
    of_one = call("GET", f"{path}?subject={one}&action=grant.revoked").json()["items"]
    assert [entry["subject"] for entry in of_one] == [str(one)]
    first = call("GET", f"{path}?limit=3").json()
    rest = call("GET", f"{path}?limit=3&cursor={first['next_cursor']}").json()
    assert len({entry["id"] for entry in first["items"] + rest["items"]}) == 4
    assert call("GET", f"{path}?since=2999-01-01T00:00:00Z").json()["items"] == []
    assert call("GET", f"{path}?actor=a%00b").status_code == 422
