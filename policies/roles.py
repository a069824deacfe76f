"""Who may give whom which role."""

from collections.abc import Iterable, Iterator

from policies.authority import Role
from policies.decisions import Allow, Decision, Deny, PublishEvent, Reason, SendMail
from policies.grants import Granter, against_reason
from policies.lifecycle import FINAL, Status
from policies.permissions import Permission, allows, permissions_of

LAST_ADMIN = Reason("last_admin", "This is the last admin; make somebody else one first.")


def decide_role(
    subject_id: str,
    current: Role,
    wanted: Role,
    *,
    status: Status,
    granter: Granter,
    reason: str,
    added: Iterable[Permission],
    is_last_admin: bool,
) -> Decision:
    """Decide whether a member may get another role.

    Nobody gives or takes a role that holds more than oneself does; anybody who may change roles
    may step down.

    Args:
        added: The application's permissions.
        is_last_admin: No other active member is admin.

    Returns:
        Allow, with what is told besides Ory's own state; or a denial: `reason_missing`,
        `reason_too_long`, `member_gone`, `last_admin`, `role_not_held`.
    """
    reasons = (
        *against_reason(reason),
        *_against_member(status),
        *_against_vacancy(current, wanted, is_last_admin=is_last_admin),
        *_against_granter(subject_id, current, wanted, granter, tuple(added)),
    )
    if reasons:
        return Deny(reasons)
    if current is wanted:
        return Allow()
    return Allow(
        (
            SendMail("role_changed", (("role", wanted), ("before", current))),
            PublishEvent("role.changed", (("role", wanted), ("before", current))),
        )
    )


def decide_leaving(role: Role, status: Status, target: Status, *, is_last_admin: bool) -> Decision:
    """Decide whether a member may stop being active, as far as there has to be an admin.

    Args:
        is_last_admin: No other active member is admin.

    Returns:
        Allow, or a denial with the code `last_admin`.
    """
    leaves = status is Status.ACTIVE and target is not Status.ACTIVE
    return Deny((LAST_ADMIN,)) if role is Role.ADMIN and leaves and is_last_admin else Allow()


def _against_member(status: Status) -> Iterator[Reason]:
    if status in FINAL:
        yield Reason("member_gone", "This member is banned or deleted.")


def _against_vacancy(current: Role, wanted: Role, *, is_last_admin: bool) -> Iterator[Reason]:
    if current is Role.ADMIN and wanted is not Role.ADMIN and is_last_admin:
        yield LAST_ADMIN


def _against_granter(
    subject_id: str,
    current: Role,
    wanted: Role,
    granter: Granter,
    added: tuple[Permission, ...],
) -> Iterator[Reason]:
    if granter.subject_id is None:
        return
    held = {item.name for item in granter.holds if item.until is None}
    # One's own present role is held by definition, so that stepping down passes.
    for role in (current, wanted):
        if not all(allows(held, name) for name in permissions_of(role, added)):
            text = f"The role {role} holds more than you do yourself."
            yield Reason("role_not_held", text, "#/role")
            return
    if subject_id == granter.subject_id and list(Role).index(wanted) > list(Role).index(current):
        yield Reason("role_not_held", "Nobody raises oneself.", "#/role")
