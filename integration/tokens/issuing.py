"""Tokens for a session: a new family, or the next access token of an old one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from integration.authority import permissions
from integration.db import member_sessions as session_rows
from integration.db import token_families
from integration.db.session_tables import MemberSession
from integration.db.tables import Member, OutboxEffect
from integration.db.token_tables import TokenFamily
from integration.errors import (
    InvalidInputError,
    UnauthenticatedError,
)
from integration.members import sessions
from integration.ory.kratos_models import KratosSession
from integration.settings import Settings
from integration.tokens import refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.refresh_tokens import RefreshToken
from integration.tokens.signer import Signer
from policies.access_claims import Subject

_ENDS_MORE = ("end_sessions", "end_older_sessions")


@dataclass(frozen=True, slots=True)
class Holder:
    """A member and its session, as Kratos just showed it."""

    member: Member
    seen: KratosSession


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client is given. `access_lifetime` is what is left of the access token."""

    access_token: str
    access_lifetime: timedelta
    refresh_token: str
    session_id: UUID
    session_expires_at: datetime


def audience(settings: Settings, asked: str | None) -> str:
    """Return the application that tokens are for.

    Raises:
        InvalidInputError: it is not registered.
    """
    if asked is None:
        return settings.applications[0]
    if asked not in settings.applications:
        raise InvalidInputError("There is no application of this name.")
    return asked


def begin_family(
    session: Session,
    signer: Signer,
    holder: Holder,
    client: Client,
    *,
    application: str,
    now: datetime,
) -> Tokens:
    """Give a session that Kratos just called valid its tokens.

    Raises:
        UnauthenticatedError: it has ended here.
        SecondFactorNeededError: it waits for a second factor, or the member needs one.
        InvalidInputError: the client's proof of possession was used before.
    """
    row = _row_of(session, signer.settings, holder, client, now=now)
    proof = client.proof
    if proof and not token_families.use_proof(session, proof.id, expires_at=proof.expires_at):
        raise InvalidInputError("The DPoP proof was used before.")
    family = TokenFamily(
        id=uuid4(),
        session_id=row.session_id,
        identity_id=row.identity_id,
        application=application,
        generation=0,
        client_hash=refresh_tokens.client_hash(client.user_agent),
        jkt=None if proof is None else proof.jkt,
        created_at=now,
        expires_at=now + signer.settings.refresh_token_lifetime,
    )
    token = refresh_tokens.first(family.id)
    family.current_hash = token.hash()
    session.add(family)
    session.flush()
    return tokens_for(
        signer, _subject(session, row, holder.member, now=now), token, application, now=now
    )


def tokens_for(
    signer: Signer, subject: Subject, token: RefreshToken, application: str, *, now: datetime
) -> Tokens:
    """Return an access token for a subject, beside the refresh token it comes with."""
    signed, lifetime = signer.access_token(subject, application=application, now=now)
    return Tokens(
        access_token=signed,
        access_lifetime=lifetime,
        refresh_token=token.text(),
        session_id=UUID(subject.session_id),
        session_expires_at=subject.session_expires_at,
    )


def _subject(session: Session, row: MemberSession, member: Member, *, now: datetime) -> Subject:
    return Subject(
        identity_id=str(row.identity_id),
        session_id=str(row.session_id),
        authenticated_at=row.authenticated_at,
        session_expires_at=row.expires_at,
        methods=row.methods,
        aal=row.aal,
        role=member.role,
        status=member.status,
        permissions=permissions.names_of(session, row.identity_id, now),
    )


def _row_of(
    session: Session, settings: Settings, holder: Holder, client: Client, *, now: datetime
) -> MemberSession:
    seen = holder.seen
    is_known = session_rows.get(session, seen.id) is not None
    if not is_known and _is_about_to_end(session, seen):
        raise UnauthenticatedError("Please log in.", detail="session about to end")
    row = sessions.see(session, seen, address=client.address, user_agent=client.user_agent, now=now)
    if row.ended_at is not None or row.expires_at <= now:
        raise UnauthenticatedError("Please log in.", detail="session ended")
    sessions.require_good(
        row,
        holder.member,
        aal=seen.authenticator_assurance_level,
        roles=settings.second_factor_roles,
        max_age=settings.session_max_age,
        idle_timeout=settings.idle_after,
        now=now,
    )
    # A second factor or a refresh since the row was made.
    row.aal, row.methods = seen.authenticator_assurance_level, seen.methods
    row.authenticated_at = seen.authenticated_at or row.authenticated_at
    return row


def _is_about_to_end(session: Session, seen: KratosSession) -> bool:
    """Tell whether Kratos is yet to hear that sessions as old as this one are over.

    Ours may have had no row when they were ended.
    """
    ended_at = session.scalar(
        select(func.max(OutboxEffect.created_at)).where(
            OutboxEffect.identity_id == seen.identity.id,
            OutboxEffect.kind.in_(_ENDS_MORE),
            OutboxEffect.done_at.is_(None),
        )
    )
    since = seen.authenticated_at
    return ended_at is not None and (since is None or since < ended_at)
