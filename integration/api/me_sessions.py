"""`/api/me/sessions`: where the member is logged in, and how to end that."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from integration.api.authentication import MemberCalling
from integration.db import member_sessions as session_rows
from integration.db.session_tables import MemberSession
from integration.dependencies import Transaction, UsesServices
from integration.errors import NotFoundError
from integration.members import sessions
from integration.members.callers import Caller
from policies import user_agents

router = APIRouter(prefix="/api/me/sessions", tags=["me"])


class SessionView(BaseModel):
    """One session.

    `device` is made of known names alone (`Firefox on Linux`). `country` is an ISO 3166 code, or
    null where it is not known. `methods` are Kratos' names of how the member proved who it is.
    """

    id: UUID
    device: str
    address: str
    country: str | None
    started_at: datetime
    authenticated_at: datetime
    last_activity_at: datetime
    expires_at: datetime
    methods: list[str]
    aal: str
    needs_second_factor: bool
    is_current: bool


class SessionList(BaseModel):
    """The member's sessions, the youngest first: at most `KLEIS_SESSIONS_PER_MEMBER`."""

    items: list[SessionView]


class Ended(BaseModel):
    """How many sessions were ended."""

    ended: int


@router.get("")
def list_sessions(
    caller: MemberCalling, session: Transaction, services: UsesServices
) -> SessionList:
    """Return the member's living sessions; one was used up to two minutes later than it says."""
    rows = session_rows.of_member(session, caller.member.identity_id, now=services.now())
    return SessionList(items=[view_of(row, caller) for row in rows])


@router.delete("/{session_id}", status_code=204)
def end_session(
    session_id: UUID, caller: MemberCalling, session: Transaction, services: UsesServices
) -> None:
    """End one session of the member's own, the current one too. 404: it has none such."""
    known = session_rows.get(session, session_id)
    if known is None or known.identity_id != caller.member.identity_id:
        raise NotFoundError("There is no such session.")
    sessions.end(session, known.identity_id, session_id, reason="revoked", now=services.now())


@router.delete("")
def end_other_sessions(
    caller: MemberCalling, session: Transaction, services: UsesServices
) -> Ended:
    """End all sessions but the one this call comes with."""
    ended = sessions.end_others(
        session,
        caller.member.identity_id,
        but=caller.session_id,
        reason="revoked",
        now=services.now(),
    )
    return Ended(ended=ended)


def view_of(row: MemberSession, caller: Caller) -> SessionView:
    """Return what a member sees of one of its sessions."""
    return SessionView(
        id=row.session_id,
        device=user_agents.describe(row.user_agent),
        address=row.address,
        country=row.country or None,
        started_at=row.started_at,
        authenticated_at=row.authenticated_at,
        last_activity_at=row.last_activity_at,
        expires_at=row.expires_at,
        methods=list(row.methods),
        aal=row.aal,
        needs_second_factor=row.hold is not None,
        is_current=row.session_id == caller.session_id,
    )
