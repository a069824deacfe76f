"""Who may be granted what, by whom, and until when: the specification's dynamic assignment."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from policies.decisions import Allow, Decision, Deny, PublishEvent, Reason, SendMail, SyncAuthority
from policies.lifecycle import Status
from policies.permissions import allows, check_name, covering, is_administrative

MAX_REASON = 500
LONGEST = timedelta(days=36_525)
"""Of a grant with an end. Not every reader of a moment knows years of five digits."""

REASON_TOO_LONG = Reason("reason_too_long", "Say why in at most 500 characters.", "#/reason")
REASON_MISSING = Reason("reason_missing", "Say why.", "#/reason")


@dataclass(frozen=True, slots=True)
class Holding:
    """One name somebody holds.

    Attributes:
        until: None: by role or by a grant without an end.
    """

    name: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Granter:
    """Who grants or revokes.

    Attributes:
        subject_id: The member; None: an API key, or the operator at the command line.
        holds: Of a member.
        administers: A key of scope `roles:write`, or the operator: may grant the platform's own
            permissions. A key without it may grant everything else.
    """

    subject_id: str | None
    holds: tuple[Holding, ...] = ()
    administers: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who is to be granted something.

    Attributes:
        verified: The address was proven.
        holds: Names it holds by role or by a grant that counts; not `*` of admins.
    """

    subject_id: str
    status: Status
    verified: bool
    holds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be granted."""

    permission: str
    expires_at: datetime | None
    reason: str


# Names nobody may hold both of, each as a pair.
Conflicts = frozenset[tuple[str, str]]


def decide_grant(
    wish: Wish,
    candidate: Candidate,
    granter: Granter,
    *,
    catalogue: Set[str],
    conflicts: Conflicts,
    now: datetime,
) -> Decision:
    """Decide whether a permission may be granted.

    Returns:
        Allow; or all reasons against it at once: `permission_name_invalid`,
        `permission_unknown`, `member_not_active`, `member_not_verified`, `duties_conflict`,
        `expiry_past`, `expiry_too_far`, `reason_missing`, `reason_too_long`, `grant_to_oneself`,
        `permission_not_held`, `expiry_beyond_own`, `scope_missing`.
    """
    if invalid := check_name(wish.permission):
        return invalid
    if wish.permission not in catalogue:
        text = "There is no such permission. Permissions of the application have to be added first."
        return Deny((Reason("permission_unknown", text, "#/permission"),))
    reasons = (
        *against_candidate(candidate),
        *against_duties(wish.permission, candidate.holds, conflicts),
        *_against_expiry(wish.expires_at, now),
        *against_reason(wish.reason),
        *_against_granter(wish, candidate, granter),
    )
    if reasons:
        return Deny(reasons)
    return Allow(granted(wish.permission, wish.expires_at))


def decide_renewal(
    wish: Wish, candidate: Candidate, granter: Granter, *, conflicts: Conflicts, now: datetime
) -> Decision:
    """Decide whether a grant that still counts may get another end; the same rules."""
    return decide_grant(
        wish,
        candidate,
        granter,
        catalogue={wish.permission},
        conflicts=conflicts,
        now=now,
    )


def decide_revocation(permission: str, reason: str, granter: Granter) -> Decision:
    """Decide whether a grant may be taken away: by whoever could have given it."""
    long = (REASON_TOO_LONG,) if len(reason) > MAX_REASON else ()
    reasons = (*long, *_against_scope(permission, granter))
    if granter.subject_id is not None and not allows(_names(granter), permission):
        reasons = (*reasons, _not_held(permission))
    return Deny(reasons) if reasons else Allow(revoked(permission))


def granted(
    permission: str, expires_at: datetime | None
) -> tuple[SyncAuthority | SendMail | PublishEvent, ...]:
    """List what a grant brings about."""
    until = "" if expires_at is None else f"{expires_at.astimezone(UTC):%d %B %Y, %H:%M} UTC"
    return (
        SyncAuthority(),
        SendMail("permission_granted", (("permission", permission), ("until", until))),
        PublishEvent("permission.granted", (("permission", permission),)),
    )


def revoked(permission: str) -> tuple[SyncAuthority | SendMail | PublishEvent, ...]:
    """List what a revocation brings about."""
    return (
        SyncAuthority(),
        SendMail("permission_revoked", (("permission", permission),)),
        PublishEvent("permission.revoked", (("permission", permission),)),
    )


def expired(permission: str) -> tuple[SyncAuthority | PublishEvent, ...]:
    """List what the end of a grant's time brings about. The mail of the grant said when."""
    return (SyncAuthority(), PublishEvent("permission.expired", (("permission", permission),)))


def against_reason(reason: str) -> Iterator[Reason]:
    """Yield what is wrong with a reason: blank, or too long."""
    if not reason.strip():
        yield REASON_MISSING
    elif len(reason) > MAX_REASON:
        yield REASON_TOO_LONG


def conflicting(permission: str, holds: Iterable[str], conflicts: Conflicts) -> str | None:
    """Return a name among `holds` that nobody may hold beside `permission`.

    A wildcard holds all it covers, so that one which covers both halves conflicts with itself.
    """
    held = (*holds, permission)
    for one, other in sorted({*conflicts, *((b, a) for a, b in conflicts)}):
        if permission in covering(one):
            for name in held:
                if name in covering(other):
                    return name
    return None


def against_candidate(candidate: Candidate) -> Iterator[Reason]:
    """Yield why a member cannot be granted anything."""
    if candidate.status is not Status.ACTIVE:
        yield Reason("member_not_active", "Only an active member can be granted anything.")
    if not candidate.verified:
        yield Reason("member_not_verified", "This member has not proven its address.")


def against_duties(
    permission: str, holds: frozenset[str], conflicts: Conflicts
) -> Iterator[Reason]:
    """Yield which of the member's permissions forbids this one."""
    other = conflicting(permission, holds, conflicts)
    if other is not None:
        text = f"Nobody may hold {permission} beside {other}."
        yield Reason("duties_conflict", text, "#/permission")


def _against_expiry(expires_at: datetime | None, now: datetime) -> Iterator[Reason]:
    if expires_at is None:
        return
    if expires_at <= now:
        yield Reason("expiry_past", "The end must be in the future.", "#/expires_at")
    elif expires_at - now > LONGEST:
        text = "The end is at most 100 years ahead. Leave it out for a grant without one."
        yield Reason("expiry_too_far", text, "#/expires_at")


def _against_granter(wish: Wish, candidate: Candidate, granter: Granter) -> Iterator[Reason]:
    yield from _against_scope(wish.permission, granter)
    if granter.subject_id is None:
        return
    if granter.subject_id == candidate.subject_id:
        yield Reason("grant_to_oneself", "Nobody grants anything to oneself.", "#/subject")
    own = [item for item in granter.holds if allows((item.name,), wish.permission)]
    if not own:
        yield _not_held(wish.permission)
    elif not any(_lasts(item.until, wish.expires_at) for item in own):
        text = "This permission is granted to you for a shorter time than you want to grant it."
        yield Reason("expiry_beyond_own", text, "#/expires_at")


def _lasts(own: datetime | None, wanted: datetime | None) -> bool:
    return own is None or (wanted is not None and wanted <= own)


def _against_scope(permission: str, granter: Granter) -> Iterator[Reason]:
    key = granter.subject_id is None
    if key and not granter.administers and is_administrative(permission):
        text = "The platform's own permissions are granted by keys of scope roles:write alone."
        yield Reason("scope_missing", text, "#/permission")


def _not_held(permission: str) -> Reason:
    text = f"You do not hold {permission} yourself."
    return Reason("permission_not_held", text, "#/permission")


def _names(granter: Granter) -> frozenset[str]:
    return frozenset(item.name for item in granter.holds)
