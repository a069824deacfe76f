"""Access tokens at the edge: verified with the published keys, which are read from the table.

Whether a token's session still lives is for the caller to ask.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from integration.edge.database import Database
from integration.settings import Settings
from integration.tokens.access import AccessTokens, Claims, UnknownKeyError, key_from_jwk

_KEPT_SECONDS = 5.0
# A token may name any key: so often at most that makes us look.
_LOOK_AGAIN_SECONDS = 1.0
_MARGIN = timedelta(minutes=1)
_STATEMENT = """
SELECT public_jwk FROM signing_keys
WHERE withdrawn_at IS NULL AND (retired_at IS NULL OR retired_at > now() - %s::interval)
"""


class EdgeAccessTokens:
    """Verifies. The keys are kept for some seconds."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._issuer = str(settings.public_url).rstrip("/")
        self._audiences = frozenset(settings.applications)
        self._overlap = settings.access_token_lifetime + _MARGIN
        self._verifier: AccessTokens | None = None
        self._read_at = float("-inf")

    async def verify(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            InvalidTokenError: it is not good now.
            RefusedError: the keys are not known, and the database does not answer.
        """
        verifier = self._verifier
        if verifier is None or time.monotonic() - self._read_at > _KEPT_SECONDS:
            verifier = await self._read()
        try:
            return verifier.verify(token, datetime.now(UTC))
        except UnknownKeyError:
            if time.monotonic() - self._read_at < _LOOK_AGAIN_SECONDS:
                raise
            verifier = await self._read()
            return verifier.verify(token, datetime.now(UTC))

    async def _read(self) -> AccessTokens:
        asked_at = time.monotonic()
        rows = await self._database.rows(_STATEMENT, (self._overlap,))
        shown: list[dict[str, Any]] = [json.loads(row[0]) for row in rows]
        self._verifier = AccessTokens(
            dict(key_from_jwk(each) for each in shown),
            issuer=self._issuer,
            audiences=self._audiences,
        )
        self._read_at = asked_at
        return self._verifier
