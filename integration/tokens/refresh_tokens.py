"""Refresh tokens as text: 256 random bits, and which family they belong to.

    krt_<base64url of 16 bytes family, 4 bytes generation, 32 bytes secret>

The first secret of a family is random; each further one is an HMAC of the one before, with a key of
`KLEIS_SECRET`: so a successor can be given a second time without being stored. Only the SHA-256 of
the newest and of the one before are kept.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from integration.keys import derive
from integration.tokens import jwk

PREFIX = "krt_"
_SECRET_BYTES = 32
_LENGTH = len(PREFIX) + 70
_MOST_GENERATIONS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One refresh token. Its text is a credential: never logged, never stored."""

    family_id: UUID
    generation: int
    secret: bytes

    def text(self) -> str:
        number = self.generation.to_bytes(4, "big")
        return PREFIX + jwk.to_text(self.family_id.bytes + number + self.secret)

    def hash(self) -> bytes:
        """Return what is stored of it."""
        return hashlib.sha256(self.secret).digest()

    def __repr__(self) -> str:
        return "RefreshToken(...)"


def first(family_id: UUID) -> RefreshToken:
    """Return the first token of a new family."""
    return RefreshToken(family_id, 0, secrets.token_bytes(_SECRET_BYTES))


def successor(token: RefreshToken, *, secret: str) -> RefreshToken:
    """Return the one token that follows, always the same.

    Args:
        secret: `KLEIS_SECRET`.
    """
    key = derive(secret, "refresh token successors")
    number = token.generation + 1
    about = token.family_id.bytes + number.to_bytes(4, "big") + token.secret
    return RefreshToken(token.family_id, number, hmac.digest(key, about, hashlib.sha256))


def parse(text: str) -> RefreshToken | None:
    """Read what a client sent; None when it cannot be a refresh token of ours."""
    if len(text) != _LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return None
    try:
        value = jwk.from_text(text[len(PREFIX) :])
    except ValueError:
        return None
    generation = int.from_bytes(value[16:20], "big")
    if generation >= _MOST_GENERATIONS:
        return None
    return RefreshToken(UUID(bytes=value[:16]), generation, value[20:])


def client_hash(user_agent: str) -> bytes:
    """Return what tells two clients of one family apart where no key does."""
    return hashlib.sha256(user_agent.encode("utf-8", "surrogatepass")).digest()
