"""Tuples on `Platform:main`: who may act, and as what. They follow from our own state.

A role in Keto is a consequence of the member's role, so writing one means assigning it, and taking
it away means that the member is a plain user again. Nobody writes the gate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies.authority import (
    GATE,
    GUEST_TUPLE,
    GUESTS,
    PLATFORM_NAMESPACE,
    PLATFORM_OBJECT,
    ROLE_RELATIONS,
    Role,
)
from policies.decisions import Deny, Reason
from policies.lifecycle import Status
from policies.permissions import is_wide
from policies.relationships import Relationship

PERMISSION_NAMESPACE = "Permission"
_ROLES = {relation: role for role, relation in ROLE_RELATIONS.items()}


@dataclass(frozen=True, slots=True)
class RoleWrite:
    """What is asked for one member.

    Attributes:
        assign: The role to have; None: only to lose those in `take`.
    """

    assign: Role | None
    take: frozenset[Role]


def is_authority(item: Relationship) -> bool:
    """Tell whether a tuple speaks of the platform itself, and so of our own state."""
    return item.namespace == PLATFORM_NAMESPACE and item.object == PLATFORM_OBJECT


def is_wide_permission(namespace: str, name: str | None) -> bool:
    """Tell whether a tuple speaks of a permission that only `roles:write` may give.

    The subject does not count: who holds the object is what any relation of it decides.

    Args:
        name: Of the object; None: whatever it is.
    """
    if namespace != PERMISSION_NAMESPACE:
        return False
    return name is None or is_wide(name)


def is_guest(item: Relationship) -> bool:
    """Tell whether a tuple is the one that belongs to no member."""
    return is_authority(item) and (item.relation, item.subject) == (
        GUESTS,
        GUEST_TUPLE.subject_id,
    )


def decide_roles(
    insert: Iterable[Relationship], delete: Iterable[Relationship]
) -> Mapping[str, RoleWrite] | Deny:
    """Return what tuples on `Platform:main` mean for each member, by subject id."""
    assign: dict[str, Role] = {}
    take: dict[str, set[Role]] = {}
    for item in insert:
        role = _role(item)
        if isinstance(role, Deny):
            return role
        if assign.setdefault(str(item.subject), role) is not role:
            return _deny("role_ambiguous", "A member has one role.")
    for item in delete:
        role = _role(item)
        if isinstance(role, Deny):
            return role
        take.setdefault(str(item.subject), set()).add(role)
    return {
        subject: RoleWrite(assign.get(subject), frozenset(take.get(subject, ())))
        for subject in sorted(assign.keys() | take.keys())
    }


def decide_new_role(status: Status, role: Role, wanted: RoleWrite) -> Role | Deny:
    """Return the role a member has afterwards.

    Args:
        status: The member's, as it is.
        role: The member's, as it is.
    """
    if wanted.assign is not None:
        if status is Status.DELETED:
            return _deny("member_deleted", "A deleted member has no role.")
        return wanted.assign
    if role not in wanted.take:
        return role
    if role is Role.USER:
        text = "Every member has a role: assign another one, or suspend or delete the member."
        return _deny("role_needed", text)
    return Role.USER


def _role(item: Relationship) -> Role | Deny:
    if item.relation == GATE:
        text = (
            "The gate follows from the member's status: set `state` of the identity through "
            "/admin/identities, or use the members API."
        )
        return _deny("gate_follows_status", text)
    if item.relation == GUESTS:
        text = "The guest is one fixed subject, and nobody else is."
        return _deny("guest_is_one", text)
    role = _ROLES.get(item.relation)
    if role is None or not isinstance(item.subject, str):
        return _deny("relation_unknown", "The platform has no such relation of a member.")
    return role


def _deny(code: str, text: str) -> Deny:
    return Deny((Reason(code, text),))
