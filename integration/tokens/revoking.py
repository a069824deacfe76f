"""Tokens taken back by whoever holds them. Source: RFC 7009."""

import hmac
from datetime import datetime

from sqlalchemy.orm import Session

from integration.db import member_sessions as session_rows
from integration.db import token_families
from integration.members import sessions
from integration.tokens.access import Claims
from integration.tokens.refresh_tokens import RefreshToken

_REASON = "logout"


def revoke_refresh_token(session: Session, token: RefreshToken, *, now: datetime) -> bool:
    """End a token's family; with the last one of a session the session too, and with that its
    access tokens. False when there is nothing to end."""
    family = token_families.lock(session, token.family_id, now=now)
    if family is None or family.ended_at is not None:
        return False
    known = (family.current_hash, family.previous_hash)
    if not any(each and hmac.compare_digest(token.hash(), each) for each in known):
        return False
    token_families.end(session, token.family_id, reason=_REASON, now=now)
    if not token_families.others_live(session, family.session_id, token.family_id, now=now):
        sessions.end(session, family.identity_id, family.session_id, reason=_REASON, now=now)
    return True


def revoke_access_token(session: Session, claims: Claims, *, now: datetime) -> bool:
    """End the session that an access token belongs to; False when it had ended."""
    row = session_rows.get(session, claims.session_id)
    if row is None or row.identity_id != claims.identity_id:
        return False
    return sessions.end(session, claims.identity_id, claims.session_id, reason=_REASON, now=now)
