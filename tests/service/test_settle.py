"""What the settle call promises on a real database, with Keto dead or already told."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from integration.authority import grants
from integration.authority.admins import THE_OPERATOR
from integration.authority.grants import Rules
from integration.db import epochs, locks
from integration.db import grants as rows
from integration.db import members as member_rows
from integration.members import lifecycle
from integration.tasks import expiry
from policies.authority import Role
from policies.grants import Wish
from policies.registration import RegistrationAttempt, new_member


@pytest.fixture
def member(services) -> UUID:
    identity_id = uuid4()
    attempt = RegistrationAttempt(email=f"{identity_id}@example.test", username=f"m{identity_id}")
    with services.transaction() as session:
        lifecycle.adopt(session, identity_id, new_member(attempt), Role.CREATOR, now=services.now())
    return identity_id


def settled_by_hand(services, member):
    with services.transaction() as session:
        epochs.settled(session, member, epochs.current(session, member))


def give(services, member, *, hours=1, permission="members.suspend"):
    expires_at = services.now() + timedelta(hours=hours)
    with services.transaction() as session:
        wish = Wish(permission, expires_at, "incident 7")
        return grants.grant(
            session, THE_OPERATOR, member, wish, rules=Rules(), now=services.now()
        ).id


def settle(hooks, member):
    return hooks.post("/hooks/authority/settle", json={"subject_id": str(member)})


def test_without_the_secret_nobody_settles_anything(hooks, member):
    answer = hooks.post(
        "/hooks/authority/settle",
        json={"subject_id": str(member)},
        headers={"X-Kleis-Hook-Secret": "wrong"},
    )
    assert answer.status_code == 401


def test_somebody_nobody_knows_is_settled(hooks):
    assert settle(hooks, uuid4()).status_code == 204


def test_a_settled_subject_needs_no_keto(hooks, services, member):
    settled_by_hand(services, member)
    assert settle(hooks, member).status_code == 204


def test_a_settling_subject_is_unknown_while_keto_is_dead(hooks, services, member):
    settled_by_hand(services, member)
    give(services, member)
    answer = settle(hooks, member)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_an_overdue_grant_has_ended_even_where_keto_cannot_be_told(hooks, services, member, clock):
    grant_id = give(services, member)
    settled_by_hand(services, member)
    assert settle(hooks, member).status_code == 204

    clock.advance(timedelta(hours=1))

    assert settle(hooks, member).status_code == 503
    with services.transaction() as session:
        grant = rows.get(session, grant_id)
        assert grant.expired_at == clock.now
        assert grant.removed_at is None
        assert epochs.is_settling(session, member)


def test_the_sweep_ends_what_is_overdue_once_and_leaves_the_rest(services, member, clock):
    short = give(services, member)
    long = give(services, member, hours=2, permission="members.read")
    clock.advance(timedelta(hours=1))
    with services.transaction() as session:
        before = epochs.current(session, member)

    assert expiry.end_overdue_grants(services) == 1
    assert expiry.end_overdue_grants(services) == 0

    with services.transaction() as session:
        assert epochs.current(session, member) == before + 1
        assert rows.get(session, short).expired_at is not None
        assert rows.get(session, long).expired_at is None


def test_settling_waits_no_longer_than_a_second_for_the_lock(hooks, services, member):
    give(services, member)
    with locks.identity_lock(services.engine, member, timeout=timedelta(seconds=1)):
        answer = settle(hooks, member)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:kleis:problem:busy"


def test_settling_does_not_wait_for_who_holds_the_member(hooks, services, member, clock):
    give(services, member)
    clock.advance(timedelta(hours=1))
    with services.transaction() as session:
        member_rows.lock(session, member)
        assert settle(hooks, member).status_code == 503


def test_a_renewal_beats_a_delivery_that_thought_the_time_was_over(services, member, clock):
    """A worker whose clock is ahead finds a grant over that is being renewed."""
    grant_id = give(services, member)
    later = clock.now + timedelta(hours=2)
    with services.transaction() as session:
        told = rows.told(session, member, now=later)
        assert told.live == frozenset()
        assert told.ended == frozenset()
    with services.transaction() as session:
        grants.renew(
            session,
            THE_OPERATOR,
            grant_id,
            expires_at=later + timedelta(hours=1),
            rules=Rules(),
            now=services.now(),
        )
    with services.transaction() as session:
        rows.mark_removed(session, told.ended, now=later)
        assert rows.get(session, grant_id).removed_at is None
        assert epochs.is_settling(session, member)
