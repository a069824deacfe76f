"""What there is of a member's sessions before one more begins.

Read while Kratos compares the password, so that nobody waits for it. What begins after that, the
statement that writes the new session counts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from integration.edge.database import Database
from policies.sessions import Device

_STATEMENT = """
    SELECT device_id, user_agent, country, started_at, ended_at IS NULL AND expires_at > now()
    FROM member_sessions WHERE identity_id = %s AND session_id IS DISTINCT FROM %s
    ORDER BY started_at DESC LIMIT 200
"""
NEVER = datetime.min.replace(year=1970, tzinfo=UTC)
"""Before all sessions."""
# The row of a login follows its moment at Kratos within this.
_UNWRITTEN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A member's sessions.

    Attributes:
        devices: Whence they came, the youngest first, at most 200.
        living: How many of them live, of those that began until `until`.
        until: A moment before which none is being written any more.
    """

    devices: list[Device]
    living: int
    until: datetime


class EarlierSessions:
    """Reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, identity_id: UUID, *, but: UUID | None = None) -> Earlier:
        """Return a member's sessions, one of them left out.

        Raises:
            RefusedError: PostgreSQL does not answer.
        """
        rows = await self._database.rows(_STATEMENT, (identity_id, but))
        until = rows[0][3] - _UNWRITTEN if rows else NEVER
        return Earlier(
            devices=[Device(row[0], row[1], row[2]) for row in rows],
            living=sum(row[4] for row in rows if row[3] <= until),
            until=until,
        )
