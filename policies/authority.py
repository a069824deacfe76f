"""Which facts Keto holds about a member: the gate, the role behind it, and what it was granted."""

from dataclasses import dataclass
from enum import StrEnum

from policies.lifecycle import Status

PLATFORM_NAMESPACE = "Platform"
PLATFORM_OBJECT = "main"
PERMISSION_NAMESPACE = "Permission"
GRANTED = "granted"
GATE = "active"
GUESTS = "guests"

# Nobody's identity: who asks without being logged in is asked about as this subject.
GUEST_SUBJECT = "25973e96-2efe-51f1-9603-b9cee8343d88"


class Role(StrEnum):
    """What a member is on the platform; exactly one at a time, guests have none."""

    USER = "user"
    CREATOR = "creator"
    MODERATOR = "moderator"
    ADMIN = "admin"


ROLE_RELATIONS: dict[Role, str] = {
    Role.USER: "users",
    Role.CREATOR: "creators",
    Role.MODERATOR: "moderators",
    Role.ADMIN: "admins",
}

# Every protected permit needs the gate, so that a role without it grants nothing. It stays
# with those who may come back: the gate alone then restores what they had.
_KEEPS_ROLE = frozenset({Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED})


@dataclass(frozen=True, slots=True, order=True)
class RelationTuple:
    """One fact in Keto about one subject.

    Attributes:
        subject_id: UUID of the identity, lower case, or GUEST_SUBJECT.
    """

    namespace: str
    object: str
    relation: str
    subject_id: str


def platform_tuple(relation: str, subject_id: str) -> RelationTuple:
    """Name one fact about the platform itself."""
    return RelationTuple(PLATFORM_NAMESPACE, PLATFORM_OBJECT, relation, subject_id)


# The one fact that belongs to no member.
GUEST_TUPLE = platform_tuple(GUESTS, GUEST_SUBJECT)


def platform_tuples(subject_id: str, status: Status, role: Role) -> frozenset[RelationTuple]:
    """List every fact about the platform that Keto should hold of a member, and no other."""
    relations = set()
    if status is Status.ACTIVE:
        relations.add(GATE)
    if status in _KEEPS_ROLE:
        relations.add(ROLE_RELATIONS[role])
    return frozenset(platform_tuple(relation, subject_id) for relation in relations)


def grant_tuple(permission: str, subject_id: str) -> RelationTuple:
    """Name one grant to one subject."""
    return RelationTuple(PERMISSION_NAMESPACE, permission, GRANTED, subject_id)


def grant_tuples(subject_id: str, status: Status, live: frozenset[str]) -> frozenset[RelationTuple]:
    """List the grants Keto should hold of a member.

    Args:
        live: Permissions of its grants that have not ended.
    """
    if status not in _KEEPS_ROLE:
        return frozenset()
    return frozenset(grant_tuple(name, subject_id) for name in live)


def ours(have: frozenset[RelationTuple], ever: frozenset[str]) -> frozenset[RelationTuple]:
    """Return those of a subject's tuples that our tables decide about.

    A grant that somebody wrote straight into Keto, of a permission we never granted to that
    subject, is not ours to take.

    Args:
        ever: Permissions of all grants the subject ever had from us.
    """
    return frozenset(
        item for item in have if item.namespace == PLATFORM_NAMESPACE or item.object in ever
    )


def changes(
    have: frozenset[RelationTuple], want: frozenset[RelationTuple]
) -> tuple[frozenset[RelationTuple], frozenset[RelationTuple]]:
    """Compare what Keto holds with what it should.

    Keto's inserts are not idempotent: what is there already must not be inserted again.

    Returns:
        What to insert, and what to delete. Where both are done one after the other, delete
        first: in between there is then less authority, never more.
    """
    return want - have, have - want
