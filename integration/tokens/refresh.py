"""One refresh: gather the facts, ask the policy, do what it says.

What it says is committed before the answer: a process that dies between the two has rotated, and
the client's next attempt gets the same successor.
"""

import hmac
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from integration import effects
from integration.db import security_events, token_families
from integration.db.token_families import FamilyRow, Rotation
from integration.members import sessions
from integration.services import Services
from integration.settings import Settings
from integration.tokens import dpop, holders, refresh_tokens
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens, tokens_for
from integration.tokens.refresh_tokens import RefreshToken
from integration.tokens.signer import Signer
from policies import user_agents
from policies.decisions import PublishEvent, SendMail
from policies.lifecycle import Status
from policies.security_events import Kind
from policies.token_refresh import (
    Presented,
    Proof,
    RefreshDecision,
    RefreshFacts,
    Refuse,
    Replay,
    Rotate,
    decide_refresh,
)
from policies.token_risk import RefreshSigns, assess

_UNKNOWN = Refuse("refresh_token_invalid")


class RotationError(Exception):
    """The statement rotated what the policy refuses: they differ, and nothing is given."""


def refresh(
    services: Services, signer: Signer, token: RefreshToken, client: Client
) -> Tokens | Refuse:
    """Return the successor's tokens, or why there are none; what follows from that is committed.

    Mostly one statement: it rotates what nothing speaks against, and tells what the policy decides
    on (docs/decisions/0030). What ends a session, needs a proof, or looks odd, is decided under the
    family's lock, before anything changes.

    Raises:
        RotationError: the statement let through what the policy refuses.
    """
    settings, now = signer.settings, services.now()
    following = refresh_tokens.successor(token, secret=settings.secret.get_secret_value())
    rotation = _rotation(settings, token, following, client, now=now)
    found = token_families.refresh(services.statements, rotation, holders.bounds(settings, now))
    if found is None:
        return _UNKNOWN
    family, is_rotated = found
    decision = _decide(settings, family, rotation, client, Proof.NOT_NEEDED)
    needs_lock = family.jkt is not None
    if isinstance(decision, Refuse):
        if is_rotated:
            raise RotationError(decision.code)
        if not decision.ends_session and not needs_lock:
            return decision
    elif is_rotated or (isinstance(decision, Replay) and not needs_lock):
        return _given(signer, family, decision, following, rotation)
    with services.transaction() as session:
        return _locked(session, signer, following, rotation, client)


def _locked(
    session: Session, signer: Signer, following: RefreshToken, rotation: Rotation, client: Client
) -> Tokens | Refuse:
    family = token_families.lock(session, rotation.family_id, now=rotation.now)
    if family is None:
        return _UNKNOWN
    proof = _proof(session, family, client)
    decision = _decide(signer.settings, family, rotation, client, proof)
    if isinstance(decision, Refuse):
        _follow(session, family, rotation, decision, client)
        return decision
    if isinstance(decision, Rotate):
        token_families.rotate_locked(session, rotation)
    return _given(signer, family, decision, following, rotation)


def _given(
    signer: Signer,
    family: FamilyRow,
    decision: Rotate | Replay,
    following: RefreshToken,
    rotation: Rotation,
) -> Tokens | Refuse:
    is_derived = hmac.compare_digest(rotation.new_hash, family.current_hash)
    if isinstance(decision, Replay) and not is_derived:
        # Made with a `KLEIS_SECRET` that is not ours: nobody can tell what it was.
        return Refuse("refresh_token_invalid")
    subject = holders.subject(
        signer.settings, family.holder, identity_id=family.identity_id, session_id=family.session_id
    )
    return tokens_for(signer, subject, following, family.application, now=rotation.now)


def _decide(
    settings: Settings,
    family: FamilyRow,
    rotation: Rotation,
    client: Client,
    proof: Proof,
) -> RefreshDecision:
    holder, now = family.holder, rotation.now
    is_same_client = _is_same_client(family, rotation, client)
    return decide_refresh(
        RefreshFacts(
            presented=_which(family, rotation),
            proof=proof,
            is_same_client=is_same_client,
            is_family_over=family.ended_at is not None,
            rotated_at=family.rotated_at,
            expires_at=family.expires_at,
            is_session_over=holder.session_ended_at is not None,
            session_ends_at=holders.session_ends_at(settings, holder),
            needs_second_factor=holders.needs_second_factor(settings, holder),
            status=None if holder.status is None else Status(holder.status),
            risk=assess(
                RefreshSigns(
                    is_bound=family.jkt is not None,
                    is_same_client=is_same_client,
                    idle=now - (family.rotated_at or family.created_at),
                )
            ),
            now=now,
        )
    )


def _which(family: FamilyRow, rotation: Rotation) -> Presented:
    shown, generation = rotation.old_hash, rotation.generation - 1
    if generation == family.generation:
        is_it = hmac.compare_digest(shown, family.current_hash)
        return Presented.CURRENT if is_it else Presented.INVALID
    if generation > family.generation:
        return Presented.INVALID
    previous = family.previous_hash
    if generation == family.generation - 1 and previous is not None:
        is_it = hmac.compare_digest(shown, previous)
        return Presented.PREVIOUS if is_it else Presented.INVALID
    return Presented.OLDER


def _proof(session: Session, family: FamilyRow, client: Client) -> Proof:
    if family.jkt is None:
        return Proof.NOT_NEEDED
    claim = client.proof
    if claim is None or not dpop.is_of(claim, family.jkt):
        return Proof.WRONG
    is_new = token_families.use_proof(session, claim.id, expires_at=claim.expires_at)
    return Proof.VALID if is_new else Proof.WRONG


def _is_same_client(family: FamilyRow, rotation: Rotation, client: Client) -> bool:
    """A key tells clients apart; without one the program and the application it is for do."""
    if family.jkt is not None:
        return client.proof is not None and dpop.is_of(client.proof, family.jkt)
    return hmac.compare_digest(rotation.client_hash, family.client_hash)


def _rotation(
    settings: Settings,
    token: RefreshToken,
    following: RefreshToken,
    client: Client,
    *,
    now: datetime,
) -> Rotation:
    return Rotation(
        family_id=token.family_id,
        generation=following.generation,
        new_hash=following.hash(),
        old_hash=token.hash(),
        client_hash=refresh_tokens.client_hash(client.user_agent),
        now=now,
        expires_at=now + settings.refresh_token_lifetime,
        unused_since=now - settings.session_activity_period,
    )


def _follow(
    session: Session,
    family: FamilyRow,
    rotation: Rotation,
    decision: Refuse,
    client: Client,
) -> None:
    """End what has to end, and tell whom it concerns."""
    if not decision.ends_session:
        return
    now = rotation.now
    token_families.end(session, rotation.family_id, reason=decision.code, now=now)
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
