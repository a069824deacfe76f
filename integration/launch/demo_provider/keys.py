"""The demo provider's keys: new with every start, published as a JWK set."""

import json
import secrets
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ALGORITHMS = ("RS256", "ES256")


class Keys:
    """One key per algorithm."""

    def __init__(self) -> None:
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._ids = {name: secrets.token_hex(8) for name in ALGORITHMS}

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the JWK set (RFC 7517)."""
        public = {
            "RS256": json.loads(RSAAlgorithm.to_jwk(self._rsa.public_key())),
            "ES256": json.loads(ECAlgorithm.to_jwk(self._ec.public_key())),
        }
        return {
            "keys": [
                {**jwk, "kid": self._ids[name], "alg": name, "use": "sig"}
                for name, jwk in public.items()
            ]
        }

    def sign(self, claims: dict[str, Any], algorithm: str) -> str:
        private = self._rsa if algorithm == "RS256" else self._ec
        return jwt.encode(claims, private, algorithm, headers={"kid": self._ids[algorithm]})

    def read_access_token(self, token: str, issuer: str) -> dict[str, Any] | None:
        """Return the claims of an access token of ours that is still good; None otherwise."""
        try:
            return jwt.decode(
                token,
                self._rsa.public_key(),
                algorithms=["RS256"],
                issuer=issuer,
                audience=f"{issuer}/userinfo",
            )
        except jwt.InvalidTokenError:
            return None
