"""Proofs that a client holds the key its tokens are bound to. Source: RFC 9449, section 4.3.

One proof counts once: its `jti` is kept for as long as the proof could be taken again, so that the
list is bounded by how many valid ones can be made in two minutes.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from integration.tokens import jwk

TYPE = "dpop+jwt"
ALGORITHMS = ("ES256", "EdDSA")
MOST_AGE = timedelta(seconds=60)
"""How old a proof may be, and how far a client's clock may be ahead."""

_MAX_BYTES = 4096
_MAX_JTI = 128
_HEADER = frozenset({"typ", "alg", "jwk"})


class InvalidProofError(Exception):
    """It proves nothing. The message is for logs."""


@dataclass(frozen=True, slots=True)
class DpopClaim:
    """A proof that holds, unless it was used before.

    Attributes:
        jkt: Thumbprint of its key.
        id: Of this very proof.
        expires_at: From when on nobody would take it again.
    """

    jkt: str
    id: bytes
    expires_at: datetime


def read(proof: str, *, method: str, url: str, now: datetime) -> DpopClaim:
    """Return what a proof proves of a request.

    Args:
        url: Of the request, as the client knows it, without query.

    Raises:
        InvalidProofError: it does not hold for this request, now.
    """
    shown, algorithm = _key_of(proof)
    try:
        public = jwk.from_jwk(shown, algorithm)
        options: Any = {"require": ["jti", "htm", "htu", "iat"], "verify_iat": False}
        claims = jwt.decode(proof, public, algorithms=[algorithm], options=options)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise InvalidProofError(type(error).__name__) from error
    jti, issued = claims["jti"], claims["iat"]
    if claims["htm"] != method or claims["htu"] != url:
        raise InvalidProofError("made for another request")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise InvalidProofError("jti")
    if type(issued) not in (int, float) or not _is_near(now.timestamp(), issued):
        raise InvalidProofError("too old, or from the future")
    thumbprint = jwk.thumbprint(shown)
    about = f"{thumbprint}\n{jti}".encode("utf-8", "surrogatepass")
    expires_at = datetime.fromtimestamp(issued, now.tzinfo) + MOST_AGE
    return DpopClaim(thumbprint, hashlib.sha256(about).digest(), expires_at)


def is_of(claim: DpopClaim, jkt: str) -> bool:
    """Tell whether a proof is of the key with this thumbprint."""
    return hmac.compare_digest(claim.jkt.encode(), jkt.encode())


def _is_near(now: float, issued: float) -> bool:
    """Tell whether a moment is one at all, and recent: JSON here knows NaN and endless numbers."""
    most = MOST_AGE.total_seconds()
    return now - most <= issued <= now + most


def _key_of(proof: str) -> tuple[dict[str, Any], str]:
    if len(proof) > _MAX_BYTES or not proof.isascii():
        raise InvalidProofError("too long, or not ASCII")
    try:
        header = jwt.get_unverified_header(proof)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise InvalidProofError(type(error).__name__) from error
    shown = header.get("jwk")
    if set(header) != _HEADER or header["typ"] != TYPE or not isinstance(shown, dict):
        raise InvalidProofError("another kind of token")
    if header["alg"] not in ALGORITHMS:
        raise InvalidProofError("algorithm")
    return shown, header["alg"]
