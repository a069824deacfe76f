"""Who is calling, in one statement: the member, its profile, and its session where we know it."""

from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from integration.db.session_tables import MemberSession
from integration.db.tables import Member, Profile

_LOOK_UP = (
    select(Member, Profile, MemberSession)
    .outerjoin(Profile, Profile.identity_id == Member.identity_id)
    .outerjoin(MemberSession, MemberSession.session_id == bindparam("session"))
    .where(Member.identity_id == bindparam("member"))
)


def look_up(
    session: Session, identity_id: UUID, session_id: UUID
) -> tuple[Member | None, Profile | None, MemberSession | None]:
    """Return all three; whose session it is, is for the caller to compare."""
    found = session.execute(_LOOK_UP, {"member": identity_id, "session": session_id}).first()
    return (None, None, None) if found is None else (found[0], found[1], found[2])
