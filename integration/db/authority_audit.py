"""Who changed whose authority, and why: written with the change, never changed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db.grant_tables import AuthorityAudit

OPERATOR = "operator"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something.

    Attributes:
        actor: `key:<id>`, `member:<uuid>`, `operator` (the `kleis` program) or `system`.
        request_id: Of the request that asked for it.
    """

    actor: str
    request_id: str = ""


def record(
    session: Session,
    by: By,
    action: str,
    subject_id: UUID | None,
    *,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write one change down, in the transaction that makes it."""
    session.add(
        AuthorityAudit(
            at=now,
            actor=by.actor,
            action=action,
            subject_id=subject_id,
            before=before,
            after=after,
            reason=reason,
            request_id=by.request_id,
        )
    )


def made_grant(session: Session, subject_id: UUID, grant_id: UUID) -> dict[str, Any]:
    """Return what was written down of a grant when it was made; empty: nothing."""
    found = session.scalar(
        select(AuthorityAudit.after).where(
            AuthorityAudit.subject_id == subject_id,
            AuthorityAudit.action == "grant.created",
            AuthorityAudit.after["id"].as_string() == str(grant_id),
        )
    )
    return found or {}


def befores(session: Session, action: str) -> list[dict[str, Any]]:
    """Return what was there before each change of this kind, the first one first."""
    statement = select(AuthorityAudit.before).where(AuthorityAudit.action == action)
    found = session.scalars(statement.order_by(AuthorityAudit.id))
    return [before for before in found if before is not None]


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None: whatever it is."""

    subject_id: UUID | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(
    session: Session, wanted: Filter, *, before_id: int | None, limit: int
) -> Sequence[AuthorityAudit]:
    """Return entries, the latest first.

    Args:
        before_id: Only those older than this one.
    """
    table = AuthorityAudit
    same = {
        table.subject_id: wanted.subject_id,
        table.actor: wanted.actor,
        table.action: wanted.action,
    }
    statement = select(table).where(
        *(column == value for column, value in same.items() if value is not None)
    )
    if before_id is not None:
        statement = statement.where(table.id < before_id)
    if wanted.since is not None:
        statement = statement.where(table.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(table.at < wanted.until)
    return session.scalars(statement.order_by(table.id.desc()).limit(limit)).all()
