"""Public keys as JSON Web Keys, and their thumbprints. Sources: RFC 7517, RFC 7638, RFC 8037."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey

# What a thumbprint is made of, in order; also all that a key of ours shows.
_MEMBERS = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y")}
_KINDS = {"EdDSA": ("OKP", "Ed25519"), "ES256": ("EC", "P-256")}


def to_jwk(key: PublicKey) -> dict[str, Any]:
    """Return a public key without `kid`, `alg` and `use`."""
    if isinstance(key, Ed25519PublicKey):
        made: dict[str, Any] = OKPAlgorithm.to_jwk(key, as_dict=True)
    else:
        made = ECAlgorithm.to_jwk(key, as_dict=True)
    return {name: made[name] for name in _MEMBERS[made["kty"]]}


def from_jwk(shown: Mapping[str, Any], algorithm: str) -> PublicKey:
    """Return the key that a JWK shows for this algorithm.

    Raises:
        ValueError: it is none, is of another kind, or holds a private part.
    """
    kind, curve = _KINDS.get(algorithm, ("", ""))
    if shown.get("kty") != kind or shown.get("crv") != curve or "d" in shown:
        raise ValueError("no public key of this algorithm")
    named = {name: shown.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) and len(value) <= 64 for value in named.values()):
        raise ValueError("no public key of this algorithm")
    try:
        key = (OKPAlgorithm if kind == "OKP" else ECAlgorithm).from_jwk(named)
    except Exception as error:  # the library's own errors have no common base
        raise ValueError("no public key of this algorithm") from error
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise ValueError("no public key of this algorithm")


def thumbprint(shown: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a key that `from_jwk` takes."""
    required = {name: shown[name] for name in _MEMBERS[str(shown["kty"])]}
    text = json.dumps(required, separators=(",", ":"), sort_keys=True)
    return to_text(hashlib.sha256(text.encode()).digest())


def to_text(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """Read base64url without padding, in its one plain spelling.

    Raises:
        ValueError: it is not.
    """
    value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if to_text(value) != text:
        raise ValueError("not the plain spelling")
    return value
