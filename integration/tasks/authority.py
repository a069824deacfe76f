"""Keto's `Platform` tuples of one member, made to match what the member is."""

from uuid import UUID

from integration.db import epochs, members
from integration.services import Services
from policies import authority
from policies.authority import RelationTuple, Role
from policies.lifecycle import Status


def sync(services: Services, identity_id: UUID) -> None:
    """Write the difference, if any. The caller holds the identity's lock.

    The member is read now, not when the effect was asked for: an effect that comes late or
    twice can never give back what was taken since.
    """
    subject_id = str(identity_id)
    with services.transaction() as session:
        # Before the member is read: what changes afterwards is not told by this.
        epoch = epochs.current(session, identity_id)
    have = services.keto.platform_tuples_of(subject_id)
    insert, delete = authority.platform_changes(have, wanted(services, identity_id))
    services.keto.change(insert=insert, delete=delete)
    with services.transaction() as session:
        epochs.settled(session, identity_id, epoch)


def wanted(services: Services, identity_id: UUID) -> frozenset[RelationTuple]:
    """Return the tuples a subject should have; none when it is no member."""
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None:
            return frozenset()
        status, role = Status(member.status), Role(member.role)
    return authority.platform_tuples(str(identity_id), status, role)
