"""A member's life: gather the facts, ask `policies.lifecycle`, record what follows.

Every function belongs to the caller's transaction. A transition, its event and its effects are
written together or not at all.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import grant_endings
from integration.db import appeals, epochs, flows, inbox, member_sessions, members
from integration.db.tables import Member
from integration.errors import ConflictError, NotFoundError
from integration.members import last_admin
from policies import progress
from policies.authority import Role
from policies.decisions import Deny, EndSessions, SyncAuthority
from policies.lifecycle import (
    FINAL,
    Actor,
    Status,
    Transition,
    Trigger,
    decide_transition,
    effects_of,
    leads_out_of_active,
)
from policies.registration import NewMember
from policies.verification import decide_recording, decide_resend, decide_verification


def register(
    session: Session,
    identity_id: UUID,
    new: NewMember,
    *,
    actor: Actor,
    flow_id: UUID | None,
    now: datetime,
) -> bool:
    """Give an identity its member row, profile and preferences, once.

    Args:
        flow_id: The flow it came by; None when it did not come by one.

    Returns:
        False when the identity was registered before.
    """
    if not inbox.claim(session, f"registration:{identity_id}"):
        return False
    walk = _expect(decide_recording(actor))
    members.add(session, identity_id, new, status=walk[-1].target, flow_id=flow_id, now=now)
    for arrow in walk:
        members.record(session, identity_id, arrow, actor, reason="", now=now)
    _follow(session, identity_id, walk, now=now)
    if flow_id is not None:
        steps = progress.registration_recorded(now)
        _save_registration_flow(session, flow_id, identity_id, steps, now)
    return True


def transition(
    session: Session,
    identity_id: UUID,
    trigger: Trigger,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    is_done: bool = False,
) -> Status:
    """Take a member along one arrow and return where it ends.

    Args:
        is_done: Kratos has done it already: nobody can refuse it, be it the last admin.

    Raises:
        NotFoundError: there is no such member.
        ConflictError: the member's state has no such arrow, or not for this actor; or, as
            `last_admin`, nobody else would be admin.
    """
    may_leave = leads_out_of_active(trigger) and not is_done
    is_held = may_leave and last_admin.hold(session, identity_id)
    member = members.lock(session, identity_id)
    if member is None:
        raise NotFoundError("There is no such member.", detail=str(identity_id))
    arrow = decide_transition(Status(member.status), trigger, actor)
    walk = _expect(arrow if isinstance(arrow, Deny) else (arrow,))
    if may_leave:
        last_admin.expect_another(session, member, walk[-1].target, is_held=is_held)
    return _take(session, member, walk, actor, reason=reason, now=now)


def verify(session: Session, identity_id: UUID, *, actor: Actor, now: datetime) -> bool:
    """Activate a member whose address is proven, along all arrows that lead there.

    Returns:
        False when there is nothing to activate: no such member, active already, or shut out.
    """
    member = members.lock(session, identity_id)
    if member is None:
        return False
    walk = decide_verification(Status(member.status), actor)
    if isinstance(walk, Deny) or not walk:
        return False
    _take(session, member, walk, actor, reason="", now=now)
    _move_registration_flow(session, identity_id, progress.verified, now)
    return True


def resend(session: Session, identity_id: UUID, *, now: datetime) -> bool:
    """Let an expired member wait for its code again; False when it is not, or for too long."""
    member = members.lock(session, identity_id)
    if member is None:
        return False
    age = now - member.registered_at
    walk = decide_resend(Status(member.status), Actor.MEMBER, age=age)
    if isinstance(walk, Deny) or not walk:
        return False
    _take(session, member, walk, Actor.MEMBER, reason="", now=now)
    _move_registration_flow(session, identity_id, progress.verification_resent, now)
    return True


def expire(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """Give up waiting for a member's code.

    Raises:
        NotFoundError, ConflictError: it is not waiting for one any more.
    """
    transition(session, identity_id, Trigger.VERIFICATION_TIMEOUT, actor=Actor.SYSTEM, now=now)
    _move_registration_flow(session, identity_id, progress.verification_expired, now)


def adopt(
    session: Session, identity_id: UUID, new: NewMember, role: Role, *, now: datetime
) -> None:
    """Make an identity that an admin created an active member with this role, at once."""
    register(session, identity_id, new, actor=Actor.SYSTEM, flow_id=None, now=now)
    verify(session, identity_id, actor=Actor.SYSTEM, now=now)
    assign_role(session, identity_id, role, now=now)


def assign_role(session: Session, identity_id: UUID, role: Role, *, now: datetime) -> None:
    """Give a member its one role.

    Raises:
        NotFoundError: there is no such member.
    """
    member = members.lock(session, identity_id)
    if member is None:
        raise NotFoundError("There is no such member.", detail=str(identity_id))
    if member.role != role:
        member.role = role
        member.role_changed_at = now
        epochs.move(session, identity_id, authority=True)
        effects.record(session, identity_id, effects.TELL_ORY, now=now)


def _take(
    session: Session,
    member: Member,
    walk: tuple[Transition, ...],
    actor: Actor,
    *,
    reason: str,
    now: datetime,
) -> Status:
    for arrow in walk:
        members.move(session, member, arrow, actor, reason=reason, now=now)
    if walk[-1].target in FINAL:
        grant_endings.end_all(session, member.identity_id, reason=walk[-1].target, now=now)
    if Status.SUSPENDED in (arrow.source for arrow in walk):
        appeals.close(session, member.identity_id, now=now)
    _follow(session, member.identity_id, walk, now=now)
    return walk[-1].target


def _follow(
    session: Session, identity_id: UUID, walk: tuple[Transition, ...], *, now: datetime
) -> None:
    """Ask for what a walk brings about; who remembers the member has to ask again."""
    following = effects_of(walk)
    if EndSessions() in following:
        # Tokens of these sessions end with this transaction, whenever Kratos hears of it.
        member_sessions.end_all(session, identity_id, reason=walk[-1].target, now=now)
    epochs.move(session, identity_id, authority=SyncAuthority() in following)
    if EndSessions() in following:
        member_sessions.end_all(session, identity_id, reason=str(walk[-1].target), now=now)
    effects.record(session, identity_id, following, now=now)


def _expect(walk: tuple[Transition, ...] | Deny) -> tuple[Transition, ...]:
    if isinstance(walk, Deny):
        raise ConflictError(walk.reasons[0].text, detail=walk.reasons[0].code)
    return walk


def _move_registration_flow(
    session: Session,
    identity_id: UUID,
    move: Callable[[progress.Steps, datetime], progress.Steps],
    now: datetime,
) -> None:
    flow = flows.of_registration(session, identity_id)
    if flow is not None:
        steps = move(flows.steps_of(flow), now)
        _save_registration_flow(session, flow.flow_id, identity_id, steps, now)


def _save_registration_flow(
    session: Session, flow_id: UUID, identity_id: UUID, steps: progress.Steps, now: datetime
) -> None:
    flows.save(
        session,
        flow_id,
        kind=progress.Kind.REGISTRATION,
        state=progress.state_of(steps),
        steps=steps,
        identity_id=identity_id,
        now=now,
    )
