"""Verdicts on passwords that are on their way, and the passwords that members had.

The edge writes verdicts (`integration/edge/password_verdicts.py`); hooks read and promote them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from integration.db.password_tables import PasswordAttempt, PasswordHistoryRow
from integration.db.retention import delete_oldest
from integration.db.tables import Member
from policies.lifecycle import Status
from policies.passwords import PasswordHistory

# The edge asks Kratos at once and waits less than a minute.
_VALID = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Changed:
    """Where the password that was just stored came from.

    Attributes:
        user_agent: The client's own words.
    """

    client_address: str
    user_agent: str


def verdict(
    session: Session, attempt_id: UUID | None, *, flow_id: UUID, identity_id: UUID | None
) -> tuple[tuple[str, str], ...] | None:
    """Return code and text of each objection to a password; none: it is accepted.

    Args:
        identity_id: Whose password is changed; None at registration.

    Returns:
        None when nobody judged this password, or for another flow or person, or long ago.
    """
    if attempt_id is None:
        return None
    row = session.scalar(
        select(PasswordAttempt).where(
            PasswordAttempt.id == attempt_id,
            PasswordAttempt.flow_id == flow_id,
            PasswordAttempt.identity_id == identity_id,
            PasswordAttempt.created_at > func.now() - _VALID,
        )
    )
    if row is None or (row.digest is None and not row.reasons):
        return None
    return tuple((reason["code"], reason["text"]) for reason in row.reasons)


def promote(session: Session, attempt_id: UUID | None, identity_id: UUID) -> Changed | None:
    """Make the password of an attempt the member's current one, once.

    Returns:
        None when there is no such attempt (any more).
    """
    if attempt_id is None:
        return None
    row = session.scalar(
        delete(PasswordAttempt).where(PasswordAttempt.id == attempt_id).returning(PasswordAttempt)
    )
    if row is None:
        return None
    if row.salt is not None and row.digest is not None:
        remember(session, identity_id, row.salt, row.digest)
    return Changed(row.client_address, row.user_agent)


def remember(session: Session, identity_id: UUID, salt: bytes, digest: bytes) -> None:
    """Make this the current password of a member. Nothing for nobody, and for the deleted.

    Args:
        salt: The member's, or its first; a digest under another one could not be compared.
    """
    member = session.get(Member, identity_id, with_for_update=True)
    if member is None or member.status == Status.DELETED:
        return
    row = session.get(PasswordHistoryRow, identity_id)
    if row is None:
        session.add(PasswordHistoryRow(identity_id=identity_id, salt=salt, digests=[digest]))
    elif row.salt == salt or not row.digests:
        history = PasswordHistory(salt, tuple(row.digests)).with_new(digest)
        row.salt, row.digests = salt, list(history.digests)


def history(session: Session, identity_id: UUID) -> PasswordHistory | None:
    """Return which passwords a member had."""
    row = session.get(PasswordHistoryRow, identity_id)
    return None if row is None else PasswordHistory(row.salt, tuple(row.digests))


def forget(session: Session, identity_id: UUID) -> None:
    """Delete everything about a member's passwords."""
    session.execute(delete(PasswordHistoryRow).where(PasswordHistoryRow.identity_id == identity_id))
    session.execute(delete(PasswordAttempt).where(PasswordAttempt.identity_id == identity_id))


def forget_attempts_before(session: Session, before: datetime) -> int:
    """Delete the oldest verdicts that came to nothing; return how many."""
    return delete_oldest(session, PasswordAttempt.created_at, before)
