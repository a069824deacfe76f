"""What admins change, written down: asked before Kratos is, completed with its answer.

A row without a status is a call whose end nobody saw.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from integration.edge.api_keys import key_id_of
from integration.edge.database import Database
from integration.edge.problems import RefusedError
from integration.edge.requests import Request

log = structlog.get_logger()

_OPEN = """
    INSERT INTO admin_audit
        (id, at, api_key_id, request_id, method, path_template, identity_id, credentials, before)
    VALUES (%s, now(), %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING
"""
_CLOSE = """
    UPDATE admin_audit SET status = %s, after = %s, identity_id = coalesce(identity_id, %s)
    WHERE id = %s
"""
# One row more for each identity that a batch made, under ids of their own.
_EACH = """
    INSERT INTO admin_audit
        (id, at, api_key_id, request_id, method, path_template, identity_id, credentials, status,
         after)
    SELECT md5(call.id::text || (made.after ->> 'id'))::uuid, call.at, call.api_key_id,
           call.request_id, call.method, call.path_template, (made.after ->> 'id')::uuid,
           call.credentials, call.status, made.after
    FROM admin_audit AS call, jsonb_array_elements(%s) AS made (after)
    WHERE call.id = %s
    ON CONFLICT (id) DO NOTHING
"""
# All there is besides credentials; addresses by value, without Kratos' own ids.
_SHOWN = ("id", "schema_id", "state", "traits", "metadata_public", "metadata_admin")
_ADDRESSES = "verifiable_addresses"


class AdminAudit:
    """Writes the rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        call_id: UUID,
        request: Request,
        *,
        template: str,
        identity_id: UUID | None,
        credentials: Sequence[str],
        before: Mapping[str, Any] | None,
    ) -> None:
        """Write down what somebody is about to change.

        Raises:
            RefusedError: the database does not answer: nothing is changed unseen.
        """
        values = (
            call_id,
            key_id_of(request.headers),
            request.id,
            request.method,
            template,
            identity_id,
            list(credentials),
            None if before is None else json.dumps(shown(before)),
        )
        await self._database.execute(_OPEN, values)

    async def end(
        self, call_id: UUID, *, status: int, identities: Sequence[Mapping[str, Any]], is_batch: bool
    ) -> None:
        """Write down how it ended. Never raises: Kratos has answered already."""
        after = None if is_batch or not identities else identities[0]
        made = UUID(str(after["id"])) if after is not None and "id" in after else None
        try:
            document = None if after is None else json.dumps(shown(after))
            await self._database.execute(_CLOSE, (status, document, made, call_id))
            if is_batch and identities:
                each = json.dumps([shown(identity) for identity in identities])
                await self._database.execute(_EACH, (each, call_id))
        except RefusedError:
            log.exception("admin_audit_not_completed", call=str(call_id), status=status)


def shown(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity without its credentials."""
    document = {name: identity[name] for name in _SHOWN if name in identity}
    addresses = identity.get(_ADDRESSES)
    if isinstance(addresses, list):
        document[_ADDRESSES] = [
            {"value": item.get("value"), "verified": item.get("verified")}
            for item in addresses
            if isinstance(item, dict)
        ]
    return document
