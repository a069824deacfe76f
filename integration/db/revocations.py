"""Sessions whose access tokens must not be believed any more, though they have not expired."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from integration.db.session_tables import MemberSession
from integration.db.token_tables import TokenFamily

_LOOK = text(
    """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, subject_id
    FROM (VALUES (1)) AS always LEFT JOIN subject_epochs ON xid >= :since
    """
)
_NEVER = 2**63 - 1


class RevokedSession(NamedTuple):
    """A session, and when it ended or was put on hold."""

    session_id: UUID
    identity_id: UUID
    moment: datetime


def moved_since(session: Session, since: int | None) -> tuple[int, set[UUID]]:
    """Return where to look from next time, and whose sessions may have ended since.

    What commits late is not missed: the next look starts at the oldest transaction that is still
    open (`integration/edge/epochs.py` reads the same way).

    Args:
        since: As returned by the last look; None: nobody is of interest yet.
    """
    rows = session.execute(_LOOK, {"since": _NEVER if since is None else since}).all()
    return int(rows[0][0]), {row[1] for row in rows if row[1] is not None}


def revoked(
    session: Session, *, since: datetime, of: Sequence[UUID] | None = None
) -> list[RevokedSession]:
    """Return every session with tokens that ended, or was put
    on hold, after `since`.

    Args:
        of: Of these members alone.
    """
    moment = MemberSession.ended_at.label("moment")
    statement = select(MemberSession.session_id, MemberSession.identity_id, moment)
    held = select(
        MemberSession.session_id, MemberSession.identity_id, MemberSession.hold_since
    ).where(
        MemberSession.ended_at.is_(None),
        MemberSession.hold.is_not(None),
        MemberSession.hold_since > since,
    )
    ended = statement.where(MemberSession.ended_at > since)
    has_tokens = exists().where(TokenFamily.session_id == MemberSession.session_id)
    parts = [each.where(has_tokens) for each in (ended, held)]
    if of is not None:
        parts = [each.where(MemberSession.identity_id.in_(of)) for each in parts]
    return [RevokedSession._make(row) for row in session.execute(parts[0].union_all(parts[1]))]
