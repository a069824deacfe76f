"""What is kept of admins' calls once the member they were about is deleted."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select

from integration.db.audit_tables import AdminAudit
from integration.members import lifecycle
from integration.tasks import sweeps
from policies.authority import Role
from policies.lifecycle import Actor, Trigger
from policies.registration import RegistrationAttempt, new_member

IDENTITY = {
    "state": "active",
    "traits": {"email": "ada@example.test", "username": "ada-77"},
    "metadata_public": {"status": "active", "role": "user", "team": "blue"},
    "metadata_admin": None,
    "verifiable_addresses": [{"value": "ada@example.test", "verified": True}],
}


def a_call(identity_id, now) -> AdminAudit:
    return AdminAudit(
        id=uuid4(),
        at=now,
        api_key_id="key",
        request_id="request",
        method="PUT",
        path_template="/admin/identities/{id}",
        identity_id=identity_id,
        credentials=["password:password"],
        status=200,
        before=None,
        after=IDENTITY,
    )


def calls_about(services, identity_id):
    with services.transaction() as session:
        calls = select(AdminAudit).where(AdminAudit.identity_id == identity_id)
        return session.scalars(calls.order_by(AdminAudit.at)).all()


def test_what_is_written_while_a_member_is_deleted_is_emptied_by_the_sweep(services):
    identity_id, somebody_else = uuid4(), uuid4()
    attempt = RegistrationAttempt("ada@example.test", "ada-77", "Ada", "L", "Ada")
    with services.transaction() as session:
        now = services.now()
        lifecycle.adopt(session, identity_id, new_member(attempt), Role.USER, now=now)
        session.add(a_call(identity_id, now))
        lifecycle.transition(
            session, identity_id, Trigger.ADMIN_DELETION, actor=Actor.ADMIN, now=now
        )
    [written_before] = calls_about(services, identity_id)
    assert "ada-77" not in str(written_before.after)

    with services.transaction() as session:
        late = now + timedelta(seconds=1)
        session.add_all([a_call(identity_id, late), a_call(somebody_else, late)])
    sweeps.forget_the_past(services)

    for call in calls_about(services, identity_id):
        assert call.after == {
            "state": "active",
            "traits": {"email": None, "username": None},
            "metadata_public": {"status": "active", "role": "user", "team": None},
            "metadata_admin": None,
            "verifiable_addresses": [{"value": None, "verified": True}],
        }
        assert (call.before, call.credentials) == (None, ["password:password"])
    assert calls_about(services, somebody_else)[0].after == IDENTITY
