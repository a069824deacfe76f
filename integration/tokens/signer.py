"""Access tokens for a subject, signed with the key whose time it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from integration.settings import Settings
from integration.tokens import access
from integration.tokens.access import SigningHalf
from policies.access_claims import Subject, access_claims


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, and what it signs for."""

    settings: Settings
    half: SigningHalf

    def access_token(
        self, subject: Subject, *, application: str, now: datetime
    ) -> tuple[str, timedelta]:
        """Return a token and how long it is good for."""
        claims = access_claims(
            subject,
            issuer=issuer(self.settings),
            audience=application,
            token_id=uuid4().hex,
            now=now,
            lifetime=self.settings.access_token_lifetime,
            idle_timeout=self.settings.session_idle_timeout,
        )
        return access.sign(claims, self.half), timedelta(seconds=claims["exp"] - claims["iat"])


def issuer(settings: Settings) -> str:
    """Return `iss`: the public address without a slash at its end."""
    return str(settings.public_url).rstrip("/")
