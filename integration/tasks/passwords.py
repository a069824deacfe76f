"""Passwords that must not work any more."""

import secrets
from datetime import datetime
from uuid import UUID

from argon2 import PasswordHasher

from integration.db import members, security_events
from integration.services import Services
from policies.lifecycle import Status
from policies.security_events import Kind

# Of 256 random bits: nobody guesses them, whatever the hash costs.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


def forget(services: Services, identity_id: UUID, *, before: datetime) -> None:
    """Replace a password by one that nobody knows. The caller holds the identity's lock.

    Args:
        before: One that was changed later is the owner's and stays. Changes hold the same lock
            until they are recorded.
    """
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None or member.status == Status.DELETED:
            return
        if security_events.has_since(session, identity_id, Kind.PASSWORD_CHANGED, before):
            return
    if services.kratos.get(identity_id) is None:
        return
    services.kratos.put_password_hash(identity_id, _CHEAP.hash(secrets.token_urlsafe(32)))
