"""Tokens for a session: a new family, or the next access token of an old one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from integration.db import token_families, token_holders
from integration.db.tables import OutboxEffect
from integration.db.token_families import Beginning
from integration.db.token_holders import Holder
from integration.errors import (
    ForbiddenError,
    InvalidInputError,
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


def begin_family(
    services: Services,
    signer: Signer,
    seen: KratosSession,
    client: Client,
    *,
    application: str,
) -> Tokens:
    """Give a session that Kratos just called valid its tokens: two statements, one that reads.

    Raises:
        UnauthenticatedError: it has ended here.
        ForbiddenError: the member's state does not let it in.
        SecondFactorNeededError: it waits for a second factor, or the member needs one.
        InvalidInputError: the client's proof of possession was used before.
        UpstreamUnavailableError: the member is still being set up.
    """
    now = services.now()
    holder = _holder(services, seen, client, now=now)
    _require_good(signer.settings, holder, now=now)
    token = refresh_tokens.first(uuid4())
    proof = client.proof
    new = Beginning(
        family_id=token.family_id,
        session_id=seen.id,
        application=application,
        current_hash=token.hash(),
        client_hash=refresh_tokens.client_hash(client.user_agent),
        jkt=None if proof is None else proof.jkt,
        proof_id=None if proof is None else proof.id,
        proof_expires_at=None if proof is None else proof.expires_at,
        now=now,
        expires_at=now + signer.settings.refresh_token_lifetime,
        authenticated_at=holder.authenticated_at,
        methods=holder.methods,
        aal=holder.aal,
    )
    is_session_alive, has_begun = token_families.begin(services.statements, new)
    if not is_session_alive:
        raise UnauthenticatedError(_AGAIN, detail="session ended")
    if not has_begun:
        raise InvalidInputError("The DPoP proof was used before.")
    subject = holders.subject(
        signer.settings, holder, identity_id=seen.identity.id, session_id=seen.id
    )
    return tokens_for(signer, subject, token, application, now=now)


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


def _holder(services: Services, seen: KratosSession, client: Client, *, now: datetime) -> Holder:
    """Return the member with its session as Kratos shows it: our row may be older than its last
    proof."""
    holder = token_holders.read(services.statements, seen.id, seen.identity.id, now=now)
    if holder is not None and holder.started_at is None:
        _write_down(services, seen, client, now=now)
        holder = token_holders.read(services.statements, seen.id, seen.identity.id, now=now)
    status = None if holder is None else holder.status
    decision = decide_login(None if status is None else Status(status))
    if isinstance(decision, Deny):
        reason = decision.reasons[0]
        raise ForbiddenError(reason.text, detail=reason.code)
    if holder is None or not holder.has_profile:
        raise UpstreamUnavailableError("Your account is still being set up.")
    return holder._replace(
        authenticated_at=seen.authenticated_at or holder.authenticated_at,
        methods=seen.methods,
        aal=seen.authenticator_assurance_level,
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


def _require_good(settings: Settings, holder: Holder, *, now: datetime) -> None:
    ends_at = holders.session_ends_at(settings, holder)
    if holder.session_ended_at is not None or ends_at is None or ends_at <= now:
        raise UnauthenticatedError(_AGAIN, detail="session ended")
    if holders.needs_second_factor(settings, holder):
        raise SecondFactorNeededError("Please give a second factor first.")


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
