"""Whose account a submit is about, and how its owner is told that it is blocked."""

import json
from urllib.parse import quote
from uuid import UUID, uuid4

import structlog

from integration.edge.database import Database
from integration.edge.problems import RefusedError
from integration.limits import unlocking
from policies.limits import canonical_identifier, kratos_identifier

log = structlog.get_logger()

# As one condition with OR and a LIMIT, PostgreSQL reads up to some thousand members row by row.
_NAMED = """
    SELECT identity_id FROM members WHERE lower(email) IN (%(a)s, %(b)s)
    UNION ALL
    SELECT identity_id FROM members WHERE lower(username) IN (%(a)s, %(b)s)
    LIMIT 1
"""
# As `integration.db.outbox` writes it; the relay finds it without being rung for.
_MAIL = """
    INSERT INTO outbox (id, identity_id, lane, kind, payload, created_at, due_at)
    SELECT %s, NULL, 'mail', 'courier_mail', %s || jsonb_build_object('to', email), now(), now()
    FROM members WHERE identity_id = %s AND email IS NOT NULL
    ON CONFLICT (id) DO NOTHING
"""
_LONGEST_NAME = 320


class Accounts:
    """Asks our tables."""

    def __init__(self, database: Database, *, secret: str, public_url: str) -> None:
        self._database = database
        self._secret = secret
        self._public_url = public_url.rstrip("/")

    async def named(self, identifier: str) -> UUID | None:
        """Return the member of this name, in whatever spelling Kratos takes for it.

        None also when the database does not answer: the name itself is counted then.
        """
        cut = identifier[:_LONGEST_NAME].replace("\0", "").encode("utf-8", "ignore").decode()
        spellings = {"a": kratos_identifier(cut), "b": canonical_identifier(cut)}
        try:
            row = await self._database.row(_NAMED, spellings)
        except RefusedError:
            return None
        return None if row is None else row[0]

    async def mail_unlock_link(self, identity_id: UUID) -> None:
        """Ask for the mail with the link. Never raises: nobody's login waits for it."""
        ticket = quote(unlocking.issue(self._secret, identity_id))
        facts = {"link": f"{self._public_url}/{unlocking.PATH}?ticket={ticket}"}
        payload = {"template": "account_blocked", "facts": facts, "subject": "", "text": ""}
        try:
            await self._database.execute(_MAIL, (uuid4(), json.dumps(payload), identity_id))
        except RefusedError:
            log.warning("unlock_mail_lost")
