"""API keys: `kleis_<id>_<secret>`, of which only the SHA-256 is stored."""

import hashlib
import hmac
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from integration.db.tables import ApiKey


def create(
    session: Session,
    *,
    name: str,
    scopes: frozenset[str],
    expires_at: datetime | None,
    now: datetime,
) -> str:
    """Store a new key and return its token, which nobody can read again."""
    key_id = secrets.token_hex(8)
    token = f"kleis_{key_id}_{secrets.token_urlsafe(32)}"
    session.add(
        ApiKey(
            id=key_id,
            sha256=digest(token),
            name=name,
            scopes=sorted(scopes),
            created_at=now,
            expires_at=expires_at,
        )
    )
    return token


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def find(session: Session, token: str, *, now: datetime) -> ApiKey | None:
    """Return the key a token belongs to, unless it is revoked or past its expiry."""
    prefix, _, rest = token.partition("_")
    key_id = rest.partition("_")[0]
    if prefix != "kleis" or not key_id:
        return None
    key = session.get(ApiKey, key_id)
    if key is None or not hmac.compare_digest(key.sha256, digest(token)):
        return None
    expired = key.expires_at is not None and key.expires_at <= now
    return None if expired or key.revoked_at is not None else key


def everything(session: Session) -> list[ApiKey]:
    """Return all keys, oldest first, also those that no longer work."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)))


def revoke(session: Session, key_id: str, *, now: datetime) -> bool:
    """Stop a key from working; False when there is none of this id."""
    key = session.get(ApiKey, key_id)
    if key is None:
        return False
    if key.revoked_at is None:
        key.revoked_at = now
    return True
