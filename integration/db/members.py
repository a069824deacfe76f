"""Queries on members and what belongs to them."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from integration.db import admin_audit, appeals, email_changes, passwords, security_events
from integration.db.tables import LifecycleEvent, Member, Profile, RecommendationProfile
from policies.lifecycle import Actor, Status, Transition
from policies.registration import NewMember


def get(session: Session, identity_id: UUID) -> Member | None:
    return session.get(Member, identity_id)


def profile(session: Session, identity_id: UUID) -> Profile | None:
    return session.get(Profile, identity_id)


def find(session: Session, identifier: str) -> Member | None:
    """Return the member that logs in with an e-mail address or username."""
    named = identifier.strip().lower()
    return session.scalars(
        select(Member)
        .where(or_(func.lower(Member.email) == named, func.lower(Member.username) == named))
        .limit(1)
    ).first()


def lock(session: Session, identity_id: UUID) -> Member | None:
    """Return a member whose row is held until the transaction ends."""
    return session.scalar(
        select(Member)
        .where(Member.identity_id == identity_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def add(
    session: Session,
    identity_id: UUID,
    new: NewMember,
    *,
    status: Status,
    flow_id: UUID | None,
    now: datetime,
) -> Member:
    """Insert a member with its profile, preferences and recommendation profile."""
    member = Member(
        identity_id=identity_id,
        email=new.email,
        username=new.username,
        first_name=new.first_name,
        last_name=new.last_name,
        status=status,
        role=new.role,
        status_changed_at=now,
        registered_at=now,
        registration_flow_id=flow_id,
        login_count=0,
    )
    session.add(member)
    session.flush()
    session.add(
        Profile(
            identity_id=identity_id,
            display_name=new.display_name,
            bio=new.bio,
            is_public=new.is_public,
            notifications=dict(new.notifications),
            privacy=dict(new.privacy),
            updated_at=now,
        )
    )
    session.add(RecommendationProfile(identity_id=identity_id, interests={}, created_at=now))
    session.flush()
    return member


def move(
    session: Session,
    member: Member,
    transition: Transition,
    actor: Actor,
    *,
    reason: str,
    now: datetime,
) -> None:
    """Put a member into a transition's target, and write the arrow down."""
    member.status = transition.target
    member.status_changed_at = now
    member.status_reason = reason
    if transition.target is Status.ACTIVE and member.verified_at is None:
        member.verified_at = now
    if transition.target is Status.DELETED:
        _forget_traits(session, member)
    record(session, member.identity_id, transition, actor, reason=reason, now=now)


def record(
    session: Session,
    identity_id: UUID,
    transition: Transition,
    actor: Actor,
    *,
    reason: str,
    now: datetime,
) -> None:
    """Append one arrow to the member's history."""
    session.add(
        LifecycleEvent(
            identity_id=identity_id,
            source=transition.source,
            target=transition.target,
            trigger=transition.trigger,
            actor=actor,
            reason=reason,
            at=now,
        )
    )


def recovered(session: Session, identity_id: UUID, *, now: datetime) -> None:
    """Note that the owner of the address got the account back: its password may be a stranger's."""
    session.execute(
        update(Member).where(Member.identity_id == identity_id).values(recovered_at=now)
    )


def password_chosen(session: Session, identity_id: UUID) -> None:
    """Note that the member chose a password: it is nobody else's."""
    session.execute(
        update(Member).where(Member.identity_id == identity_id).values(recovered_at=None)
    )


def in_status_since(
    session: Session, status: Status, before: datetime, *, limit: int = 500
) -> list[UUID]:
    """Return members that have been in `status` since before the given moment."""
    return list(
        session.scalars(
            select(Member.identity_id)
            .where(Member.status == status, Member.status_changed_at < before)
            .order_by(Member.status_changed_at)
            .limit(limit)
        )
    )


def pages(session: Session, *, size: int = 500) -> Iterator[list[Member]]:
    """Yield all members that are not deleted, by identity id."""
    last: UUID | None = None
    while True:
        statement = select(Member).where(Member.status != Status.DELETED)
        if last is not None:
            statement = statement.where(Member.identity_id > last)
        page = list(session.scalars(statement.order_by(Member.identity_id).limit(size)))
        if not page:
            return
        yield page
        last = page[-1].identity_id


def count(session: Session) -> int:
    """Return how many members there are that are not deleted."""
    statement = select(func.count()).select_from(Member).where(Member.status != Status.DELETED)
    return session.scalar(statement) or 0


def history(session: Session, identity_id: UUID) -> list[LifecycleEvent]:
    """Return the arrows a member passed, oldest first."""
    return list(
        session.scalars(
            select(LifecycleEvent)
            .where(LifecycleEvent.identity_id == identity_id)
            .order_by(LifecycleEvent.id)
        )
    )


def _forget_traits(session: Session, member: Member) -> None:
    member.email = None
    member.username = None
    member.first_name = ""
    member.last_name = ""
    for table in (Profile, RecommendationProfile):
        row = session.get(table, member.identity_id)
        if row is not None:
            session.delete(row)
    for belongings in (passwords, email_changes, security_events, appeals):
        belongings.forget(session, member.identity_id)
    admin_audit.forget_person(session, member.identity_id)
