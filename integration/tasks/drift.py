"""What differs between Kratos, our tables and Keto: the facts, and what would be repaired.

Changes nothing. What to repair is decided in `policies.reconciliation`.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from integration.authority import catalogue
from integration.db import email_changes, grants, members, outbox
from integration.db.tables import Member
from integration.ory.kratos_models import Identity
from integration.services import Services
from policies import authority
from policies.authority import RelationTuple, Role
from policies.lifecycle import Status
from policies.reconciliation import Facts, IdentityFacts, MemberFacts, Repair, decide_repairs

# Effects that may still bring about what seems to be missing.
LANES = ("authority", "identity")


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs about one subject, and what would be repaired."""

    subject_id: str
    repairs: tuple[Repair, ...]


def find(services: Services) -> Iterator[Drift]:
    """Yield what seems to differ, from lists that may be seconds old. Changes nothing."""
    tuples: dict[str, set[RelationTuple]] = defaultdict(set)
    for item in services.keto.tuples():
        tuples[item.subject_id].add(item)
    logged_in = {str(identity_id) for identity_id in services.kratos.logged_in()}
    ours = _all_members(services)
    with services.transaction() as session:
        granted = grants.everybody_told(session, now=services.now())
        told = email_changes.all_open(session)

    def seen_of(subject_id: str, identity: Identity | None) -> Facts:
        has = granted.get(subject_id, grants.NOTHING_TOLD)
        return Facts(
            subject_id=subject_id,
            identity=_identity_facts(services, identity, told),
            member=ours.get(subject_id),
            tuples=frozenset(tuples.get(subject_id, ())),
            live=has.live,
            ever=has.ever,
            sessions=subject_id in logged_in,
        )

    seen = set()
    for identity in services.kratos.everybody():
        seen.add(str(identity.id))
        yield from _drift(services, seen_of(str(identity.id), identity))
    for subject_id in (ours.keys() | tuples.keys()) - seen:
        yield from _drift(services, seen_of(subject_id, None))


def foreign(services: Services) -> list[str]:
    """Return tuples on permissions that are not ours to judge: grants and roles that somebody
    wrote straight into Keto, in Keto's own notation, sorted."""
    with services.transaction() as session:
        told = grants.everybody_told(session, now=services.now())
    grants_of_others = [
        f"{item.namespace}:{item.object}#{item.relation}@{item.subject_id}"
        for item in services.keto.tuples()
        if not authority.ours(
            frozenset({item}), told.get(item.subject_id, grants.NOTHING_TOLD).ever
        )
    ]
    sets_of_others = [
        f"Permission:{item.permission}#{item.relation}"
        f"@{item.subject_namespace}:{item.subject_object}#{item.subject_relation}"
        for item in catalogue.unknown(services)
    ]
    return sorted(grants_of_others + sets_of_others)


def _drift(services: Services, facts: Facts) -> Iterator[Drift]:
    if repairs := decide_repairs(facts, services.settings.reconcile_grace):
        yield Drift(facts.subject_id, repairs)


def _all_members(services: Services) -> dict[str, MemberFacts]:
    with services.transaction() as session:
        return {
            str(member.identity_id): _member_facts(member)
            for page in members.pages(session)
            for member in page
        }


def facts_of(services: Services, identity_id: UUID, identity: Identity | None) -> Facts:
    """Gather everything about one subject afresh. The caller holds its lock."""
    with services.transaction() as session:
        row = members.get(session, identity_id)
        member = None if row is None else _member_facts(row)
        pending = outbox.is_pending(session, identity_id, LANES)
        granted = grants.told(session, identity_id, now=services.now())
        change = email_changes.open_of(session, identity_id)
        told = frozenset() if change is None else frozenset({(identity_id, change.new_email)})
    return Facts(
        subject_id=str(identity_id),
        identity=_identity_facts(services, identity, told),
        member=member,
        tuples=services.keto.tuples_of(str(identity_id)),
        live=granted.live,
        ever=granted.ever,
        pending_effects=pending,
        sessions=identity is not None and services.kratos.has_sessions(identity_id),
    )


def _member_facts(row: Member) -> MemberFacts:
    return MemberFacts(Status(row.status), Role(row.role), row.second_factor)


def _identity_facts(
    services: Services, identity: Identity | None, told: frozenset[tuple[UUID, str]]
) -> IdentityFacts | None:
    """Return what Kratos shows; `told` has the addresses that we know to be asked for."""
    if identity is None:
        return None
    metadata = identity.metadata_public or {}
    waiting = identity.pending_email
    is_known = (identity.id, waiting) in told and not identity.is_address_verified(waiting)
    return IdentityFacts(
        enabled=identity.is_enabled(),
        email_verified=identity.is_verified(),
        age=services.now() - identity.created_at,
        metadata_status=metadata.get("status"),
        metadata_role=metadata.get("role"),
        address_waits=bool(waiting) and not is_known,
        has_second_factor=identity.has_second_factor,
    )
