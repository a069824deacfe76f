"""One refresh: gather the facts under the family's lock, ask the policy, do what it says.

Everything is one transaction, committed before the answer: a process that dies between the two has
rotated, and the client's next attempt gets the same successor.
"""

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import permissions
from integration.db import security_events, token_families
from integration.db.token_families import LockedFamily
from integration.members import sessions
from integration.settings import Settings
from integration.tokens import dpop, refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens, tokens_for
from integration.tokens.refresh_tokens import RefreshToken
from integration.tokens.signer import Signer
from policies import step_up, user_agents
from policies.access_claims import Subject
from policies.decisions import PublishEvent, SendMail
from policies.lifecycle import Status
from policies.security_events import Kind
from policies.step_up import Standing
from policies.token_refresh import (
    Presented,
    Proof,
    RefreshFacts,
    Refuse,
    Replay,
    decide_refresh,
)
from policies.token_risk import RefreshSigns, assess

_UNKNOWN = Refuse("refresh_token_invalid")


def refresh(
    session: Session,
    signer: Signer,
    token: RefreshToken,
    client: Client,
    *,
    now: datetime,
) -> Tokens | Refuse:
    """Return the successor's tokens, or why there are none. Either way the caller commits."""
    family = token_families.lock(session, token.family_id)
    if family is None:
        return _UNKNOWN
    roles = signer.settings.second_factor_roles
    decision = decide_refresh(_facts(session, family, token, client, roles=roles, now=now))
    if isinstance(decision, Refuse):
        _follow(session, family, token, decision, client, now=now)
        return decision
    following = refresh_tokens.successor(token, secret=signer.settings.secret.get_secret_value())
    if isinstance(decision, Replay):
        if not hmac.compare_digest(following.hash(), family.current_hash):
            # Made with a `KLEIS_SECRET` that is not ours: nobody can tell what it was.
            return Refuse("refresh_token_invalid")
    else:
        _rotate(session, signer.settings, token, following, client, now=now)
    subject = _subject(session, family, now=now)
    return tokens_for(signer, subject, following, family.application, now=now)


def _facts(
    session: Session,
    family: LockedFamily,
    token: RefreshToken,
    client: Client,
    *,
    roles: Iterable[str],
    now: datetime,
) -> RefreshFacts:
    is_same_client = _is_same_client(family, client)
    return RefreshFacts(
        presented=_which(family, token),
        proof=_proof(session, family, client),
        is_same_client=is_same_client,
        is_family_over=family.ended_at is not None,
        rotated_at=family.rotated_at,
        expires_at=family.expires_at,
        is_session_over=family.session_ended_at is not None,
        session_expires_at=family.session_expires_at,
        needs_second_factor=_needs_second_factor(family, roles),
        status=None if family.status is None else Status(family.status),
        risk=assess(
            RefreshSigns(
                is_bound=family.jkt is not None,
                is_same_client=is_same_client,
                idle=now - (family.rotated_at or family.created_at),
            )
        ),
        now=now,
    )


def _needs_second_factor(family: LockedFamily, roles: Iterable[str]) -> bool:
    standing = Standing(
        aal=family.aal,
        hold=family.hold,
        has_second_factor=family.has_second_factor,
        requires_second_factor=family.requires_second_factor,
        role=family.role,
    )
    return step_up.needs_second_factor(standing, roles)


def _which(family: LockedFamily, token: RefreshToken) -> Presented:
    shown = token.hash()
    if token.generation == family.generation:
        is_it = hmac.compare_digest(shown, family.current_hash)
        return Presented.CURRENT if is_it else Presented.INVALID
    if token.generation > family.generation:
        return Presented.INVALID
    previous = family.previous_hash
    if token.generation == family.generation - 1 and previous is not None:
        is_it = hmac.compare_digest(shown, previous)
        return Presented.PREVIOUS if is_it else Presented.INVALID
    return Presented.OLDER


def _proof(session: Session, family: LockedFamily, client: Client) -> Proof:
    if family.jkt is None:
        return Proof.NOT_NEEDED
    claim = client.proof
    if claim is None or not dpop.is_of(claim, family.jkt):
        return Proof.WRONG
    is_new = token_families.use_proof(session, claim.id, expires_at=claim.expires_at)
    return Proof.VALID if is_new else Proof.WRONG


def _is_same_client(family: LockedFamily, client: Client) -> bool:
    """A key tells clients apart; without one the program and the application it is for do."""
    if family.jkt is not None:
        return client.proof is not None and dpop.is_of(client.proof, family.jkt)
    return hmac.compare_digest(refresh_tokens.client_hash(client.user_agent), family.client_hash)


def _rotate(
    session: Session,
    settings: Settings,
    token: RefreshToken,
    following: RefreshToken,
    client: Client,
    *,
    now: datetime,
) -> None:
    token_families.rotate(
        session,
        token.family_id,
        generation=following.generation,
        new_hash=following.hash(),
        old_hash=token.hash(),
        client_hash=refresh_tokens.client_hash(client.user_agent),
        now=now,
        expires_at=now + settings.refresh_token_lifetime,
    )


def _subject(session: Session, family: LockedFamily, *, now: datetime) -> Subject:
    return Subject(
        identity_id=str(family.identity_id),
        session_id=str(family.session_id),
        authenticated_at=family.authenticated_at,
        session_expires_at=family.session_expires_at,
        methods=family.methods,
        aal=family.aal,
        role=family.role,
        status=Status.ACTIVE,  # else the policy had refused
        permissions=permissions.names_of(session, family.identity_id, now),
    )


def _follow(
    session: Session,
    family: LockedFamily,
    token: RefreshToken,
    decision: Refuse,
    client: Client,
    *,
    now: datetime,
) -> None:
    """End what has to end, and tell whom it concerns."""
    if not decision.ends_session:
        return
    token_families.end(session, token.family_id, reason=decision.code, now=now)
    sessions.end(session, family.identity_id, family.session_id, reason=decision.code, now=now)
    facts = {"session_id": str(family.session_id), "application": family.application}
    kind = Kind.REFRESH_TOKEN_REUSED if decision.is_theft else Kind.SESSIONS_ENDED
    sender = {"address": client.address, "user_agent": client.user_agent[:256]}
    about = {**facts, **sender, "reason": decision.code}
    security_events.record(session, family.identity_id, kind, about, now)
    if decision.is_theft:
        told = (
            ("when", f"{now.astimezone(UTC):%d %B %Y, %H:%M} UTC"),
            ("address", client.address),
            ("device", user_agents.describe(client.user_agent)),
        )
        follows = (
            SendMail("session_stolen", told),
            PublishEvent("session.token_reused", tuple(facts.items())),
        )
        effects.record(session, family.identity_id, follows, now=now)
