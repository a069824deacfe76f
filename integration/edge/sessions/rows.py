"""What the edge writes to `member_sessions`: sessions that begin, change and end.

Each is one statement, the move of the member's epoch in it, so that no edge keeps what it
remembers of the session.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from integration.edge.database import Database
from policies.sessions import Device

_MOVE = """
    INSERT INTO subject_epochs AS known (subject_id, epoch, authority_epoch, settled_epoch, xid)
    SELECT DISTINCT identity_id, 1, 0, 0, pg_current_xact_id()::text::bigint FROM {source}
    ON CONFLICT (subject_id) DO UPDATE SET epoch = known.epoch + 1, xid = excluded.xid
"""
# Of a session that is there already (a refresh, a second factor) only the proof is new.
# Nobody waits for the disk, unless a hold begins: what a crash of PostgreSQL takes, the session's
# first use writes again, and a hold whose end is lost asks once more.
_BEGIN = f"""
    WITH written AS (
        INSERT INTO member_sessions AS known (session_id, identity_id, started_at,
            authenticated_at, expires_at, methods, aal, device_id, address, user_agent, country,
            last_activity_at, hold, hold_since)
        SELECT %(session)s::uuid, %(identity)s::uuid, %(at)s::timestamptz, %(at)s, %(expires)s,
            %(methods)s::text[], %(aal)s,
            %(device)s::uuid, %(address)s, %(agent)s, %(country)s, %(at)s, held.reason,
            CASE WHEN held.reason IS NOT NULL THEN now() END
        FROM (
            SELECT reason, set_config('synchronous_commit',
                CASE WHEN reason IS NULL THEN 'off' ELSE 'on' END, true)
            FROM (SELECT CASE WHEN %(hold)s::text IS NOT NULL AND EXISTS (
                SELECT FROM members WHERE identity_id = %(identity)s AND recovered_at IS NOT NULL
            ) THEN %(hold)s END AS reason) AS asked
        ) AS held
        ON CONFLICT (session_id) DO UPDATE SET
            authenticated_at = excluded.authenticated_at, expires_at = excluded.expires_at,
            methods = excluded.methods, aal = excluded.aal,
            ended_at = CASE WHEN known.end_reason = 'expired' THEN NULL ELSE known.ended_at END,
            hold = CASE WHEN %(releases)s THEN NULL ELSE known.hold END,
            hold_since = CASE WHEN %(releases)s THEN NULL ELSE known.hold_since END
        WHERE known.identity_id = excluded.identity_id
        RETURNING identity_id, xmax <> 0 AS was_there
    ), moved AS ({_MOVE.format(source="(SELECT identity_id FROM written WHERE was_there) AS old")})
    SELECT device_id, user_agent, country, ended_at IS NULL AND expires_at > now()
    FROM member_sessions WHERE identity_id = %(identity)s AND session_id <> %(session)s
    ORDER BY started_at DESC LIMIT 200
"""  # noqa: S608 - put together from constants
_OVER = f"""
    WITH ended AS (
        UPDATE member_sessions SET ended_at = now(), end_reason = 'too_many'
        WHERE session_id IN (
            SELECT session_id FROM member_sessions
            WHERE identity_id = %(identity)s AND ended_at IS NULL AND expires_at > now()
            ORDER BY started_at DESC, session_id OFFSET %(most)s
        ) AND ended_at IS NULL
        RETURNING session_id, identity_id
    ), told AS (
        INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
        SELECT identity_id, 'sessions', 'end_session',
            jsonb_build_object('session_id', session_id), now(), now() FROM ended
    )
    {_MOVE.format(source="ended")}
"""  # noqa: S608 - put together from constants
_END = f"""
    WITH ended AS (
        UPDATE member_sessions SET ended_at = now(), end_reason = %(reason)s
        WHERE identity_id = %(identity)s AND ended_at IS NULL
            AND (%(only)s::uuid IS NULL OR session_id = %(only)s)
            AND (%(but)s::uuid IS NULL OR session_id <> %(but)s)
    )
    {_MOVE.format(source="(SELECT %(identity)s::uuid AS identity_id) AS whose")}
"""  # noqa: S608 - put together from constants
_END_ONE = f"""
    WITH ended AS (
        UPDATE member_sessions SET ended_at = now(), end_reason = %(reason)s
        WHERE session_id = %(only)s RETURNING identity_id
    )
    {_MOVE.format(source="ended")}
"""  # noqa: S608 - put together from constants
_END_AT_KRATOS = f"""
    WITH ended AS (
        UPDATE member_sessions SET ended_at = now(), end_reason = %(reason)s
        WHERE session_id = %(only)s AND ended_at IS NULL RETURNING session_id, identity_id
    ), told AS (
        INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
        SELECT identity_id, 'sessions', 'end_session',
            jsonb_build_object('session_id', session_id), now(), now() FROM ended
    )
    {_MOVE.format(source="ended")}
"""  # noqa: S608 - put together from constants
_EXTENDED = f"""
    WITH longer AS (
        UPDATE member_sessions SET expires_at = %(expires)s
        WHERE session_id = %(only)s RETURNING identity_id
    )
    {_MOVE.format(source="longer")}
"""  # noqa: S608 - put together from constants
_FOLLOW = """
    INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
    VALUES (%s, 'session_check', 'follow_sessions', '{}', now(), now() + %s::interval)
"""
_LINKED = """
    WITH event AS (
        INSERT INTO security_events (id, identity_id, at, kind, facts)
        VALUES (gen_random_uuid(), %(identity)s, now(), 'connection_added', %(event)s)
    )
    INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
    VALUES (%(identity)s, 'mail', 'send_mail', %(mail)s, now(), now())
"""
_MAIL = """
    INSERT INTO outbox (identity_id, lane, kind, payload, created_at, due_at)
    VALUES (%s, 'mail', 'send_mail', %s, now(), now())
"""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session as a login gave or strengthened it.

    Attributes:
        device_id: The row's; of a browser that is new here the number it is given now.
        hold: Why it is held at once, should the account have been recovered.
        releases: A second factor was just given.
    """

    session_id: UUID
    identity_id: UUID
    authenticated_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]
    aal: str
    device_id: UUID | None
    address: str
    user_agent: str
    country: str
    hold: str | None
    releases: bool


class SessionRows:
    """Writes rows. Every method raises `RefusedError` when PostgreSQL does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, new: Beginning) -> tuple[list[Device], int]:
        """Write a session down.

        Returns:
            Whence the member's other sessions came, and how many of them live.
        """
        values = {
            "session": new.session_id,
            "identity": new.identity_id,
            "at": new.authenticated_at,
            "expires": new.expires_at,
            "methods": list(new.methods),
            "aal": new.aal,
            "device": new.device_id,
            "address": new.address,
            "agent": new.user_agent,
            "country": new.country,
            "hold": new.hold,
            "releases": new.releases,
        }
        rows = await self._database.rows(_BEGIN, values)
        return [Device(row[0], row[1], row[2]) for row in rows], sum(row[3] for row in rows)

    async def end_oldest(self, identity_id: UUID, most: int) -> None:
        """End all but a member's `most` youngest sessions, at Kratos too."""
        await self._database.execute(_OVER, {"identity": identity_id, "most": most})

    async def end(
        self,
        identity_id: UUID,
        *,
        reason: str,
        only: UUID | None = None,
        but: UUID | None = None,
    ) -> None:
        """Note that Kratos ended sessions of a member: all, only one, or all but one."""
        values = {"identity": identity_id, "reason": reason, "only": only, "but": but}
        await self._database.execute(_END, values)

    async def follow(self, identity_id: UUID, *, after: timedelta) -> None:
        """Let a worker end, after a while, what Kratos has ended and nobody wrote down."""
        await self._database.execute(_FOLLOW, (identity_id, after))

    async def end_one(self, session_id: UUID, *, reason: str) -> None:
        """Note that Kratos ended a session, whosesoever it was."""
        await self._database.execute(_END_ONE, {"only": session_id, "reason": reason})

    async def end_at_kratos(self, session_id: UUID, *, reason: str) -> None:
        """End a session that lives: with us now, at Kratos in a moment."""
        await self._database.execute(_END_AT_KRATOS, {"only": session_id, "reason": reason})

    async def extended(self, session_id: UUID, expires_at: datetime) -> None:
        """Note until when Kratos extended a session."""
        await self._database.execute(_EXTENDED, {"only": session_id, "expires": expires_at})

    async def linked(self, identity_id: UUID, facts: dict[str, Any]) -> None:
        """Let the member know that a login linked a provider; `settings` tell by their hook."""
        mail = {"template": "connection_added", "facts": facts}
        event = {"provider": ""}
        values = {
            "identity": identity_id,
            "event": json.dumps(event),
            "mail": json.dumps(mail),
        }
        await self._database.execute(_LINKED, values)

    async def mail_new_device(self, identity_id: UUID, facts: dict[str, Any]) -> None:
        """Let the member know of a login from a device that was never seen."""
        payload = {"template": "new_device", "facts": facts}
        await self._database.execute(_MAIL, (identity_id, json.dumps(payload)))


def now() -> datetime:
    return datetime.now(UTC)
