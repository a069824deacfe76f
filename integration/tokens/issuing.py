"""Tokens for a session: a new family, or the next access token of an old one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from integration.db import token_beginnings
from integration.db.tables import OutboxEffect
from integration.db.token_beginnings import Beginning
from integration.db.token_holders import Holder
from integration.errors import (
    ForbiddenError,
    InvalidInputError,
    KleisError,
    SecondFactorNeededError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from integration.members import sessions
from integration.ory.kratos_models import KratosSession
from integration.services import Services
from integration.settings import Settings
from integration.tokens import holders, refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.refresh_tokens import RefreshToken
from integration.tokens.signer import Signer
from policies.access_claims import Subject
from policies.decisions import Deny
from policies.lifecycle import Status
from policies.login import decide_login

_AGAIN = "Please log in."
_LONGEST_USER_AGENT = 256
_ENDS_MORE = ("end_sessions", "end_older_sessions")


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


class BeginningError(Exception):
    """The statement and the policies differ about who gets tokens, and nothing is given."""


def begin_family(
    services: Services,
    signer: Signer,
    seen: KratosSession,
    client: Client,
    *,
    application: str,
) -> Tokens:
    """Give a session that Kratos just called valid its tokens.

    One statement: it begins the family if nothing speaks against it, and tells what the policies
    decide on (docs/decisions/0030).

    Raises:
        UnauthenticatedError: it has ended here.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: it waits for a second factor, or the member needs one.
        InvalidInputError: the client's proof of possession was used before.
        UpstreamUnavailableError: the member is still being set up.
        BeginningError: the statement let through what the policies refuse, or the other way round.
    """
    now = services.now()
    token = refresh_tokens.first(uuid4())
    bounds = holders.bounds(signer.settings, now)
    new = _beginning(signer.settings, seen, client, token, application=application, now=now)
    begun = token_beginnings.begin(services.statements, new, bounds)
    if begun is not None and begun.holder.started_at is None:
        _write_down(services, seen, client, now=now)
        begun = token_beginnings.begin(services.statements, new, bounds)
    refusal = _refusal(signer.settings, None if begun is None else begun.holder, now=now)
    if refusal is not None:
        raise BeginningError if begun is not None and begun.is_good else refusal
    if begun is None or not begun.is_good:
        raise BeginningError
    if not begun.is_session_alive:
        raise UnauthenticatedError(_AGAIN, detail="session ended")
    if not begun.has_begun:
        raise InvalidInputError("The DPoP proof was used before.")
    subject = holders.subject(
        signer.settings, begun.holder, identity_id=seen.identity.id, session_id=seen.id
    )
    return tokens_for(signer, subject, token, application, now=now)


def _beginning(
    settings: Settings,
    seen: KratosSession,
    client: Client,
    token: RefreshToken,
    *,
    application: str,
    now: datetime,
) -> Beginning:
    proof = client.proof
    return Beginning(
        family_id=token.family_id,
        session_id=seen.id,
        identity_id=seen.identity.id,
        application=application,
        current_hash=token.hash(),
        client_hash=refresh_tokens.client_hash(client.user_agent),
        jkt=None if proof is None else proof.jkt,
        proof_id=None if proof is None else proof.id,
        proof_expires_at=None if proof is None else proof.expires_at,
        now=now,
        expires_at=now + settings.refresh_token_lifetime,
        authenticated_at=seen.authenticated_at,
        methods=seen.methods,
        aal=seen.authenticator_assurance_level,
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


def _write_down(services: Services, seen: KratosSession, client: Client, *, now: datetime) -> None:
    """Add our row of a session that is seen for the first time."""
    with services.transaction() as session:
        if _is_about_to_end(session, seen):
            raise UnauthenticatedError(_AGAIN, detail="session about to end")
        sessions.see(
            session,
            seen,
            address=client.address,
            user_agent=client.user_agent[:_LONGEST_USER_AGENT],
            now=now,
        )


def _refusal(settings: Settings, holder: Holder | None, *, now: datetime) -> KleisError | None:
    """Return why a member with a session gets no tokens; None: it does."""
    decision = decide_login(None if holder is None or not holder.status else Status(holder.status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        return ForbiddenError(reason.text, detail=reason.code)
    if holder is None or not holder.has_profile:
        return UpstreamUnavailableError("Your account is still being set up.")
    ends_at = holders.session_ends_at(settings, holder)
    if holder.session_ended_at is not None or ends_at is None or ends_at <= now:
        return UnauthenticatedError(_AGAIN, detail="session ended")
    if holders.needs_second_factor(settings, holder):
        return SecondFactorNeededError("Please give a second factor first.")
    return None


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
