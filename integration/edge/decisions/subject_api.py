"""`GET /api/permissions/{subject}`: what a member may do, by its role and by grants."""

from datetime import UTC, datetime

from integration.edge.asgi import Answer
from integration.edge.database import Database
from integration.edge.decisions.askers import Askers
from integration.edge.decisions.permission_api import SUBJECT_UNKNOWN, refuse_malformed
from integration.edge.problems import RefusedError, json_answer
from integration.edge.requests import Request
from integration.edge.routes import Route
from policies.authority import GUEST_SUBJECT, Role
from policies.lifecycle import Status
from policies.permission_questions import GUEST, MalformedError, read_subject
from policies.permissions import Permission, permissions_of

_PREFIX = "/api/permissions/"
_MEMBER = "SELECT status, role FROM members WHERE identity_id = %s"
_ADDED = "SELECT name, lowest_role FROM permissions WHERE lowest_role IS NOT NULL"
_GRANTS = """
SELECT id::text, permission, expires_at, reason, granted_by FROM permission_grants
WHERE subject_id = %s AND revoked_at IS NULL AND expired_at IS NULL
AND (expires_at IS NULL OR expires_at > %s)
ORDER BY permission, created_at
"""


class SubjectApi:
    """Lists. From our tables alone: what Keto would say of one thing is asked with `check`."""

    def __init__(self, askers: Askers, database: Database) -> None:
        self._askers = askers
        self._database = database

    async def answer(self, request: Request, _: Route) -> Answer:
        """Return role, permissions and grants of a member; nothing counts unless it is active.

        Raises:
            RefusedError: the caller may not ask, or there is no such member.
        """
        asker = await self._askers.of(request)
        try:
            subject = asker.subject_of(read_subject(request.path.removeprefix(_PREFIX)))
        except MalformedError as error:
            refuse_malformed(error)
        if subject == GUEST_SUBJECT:
            return _shown(subject, None, [], [])
        member = await self._database.row(_MEMBER, (subject,))
        if member is None:
            raise RefusedError(SUBJECT_UNKNOWN)
        status, role = member
        added = [
            Permission(name, "", Role(lowest))
            for name, lowest in await self._database.rows(_ADDED, ())
        ]
        grants = [
            {
                "id": grant_id,
                "permission": permission,
                "expires_at": None if until is None else until.isoformat(),
                "reason": reason,
                "granted_by": granted_by,
            }
            for grant_id, permission, until, reason, granted_by in await self._database.rows(
                _GRANTS, (subject, datetime.now(UTC))
            )
        ]
        return _shown(subject, (status, role), sorted(permissions_of(Role(role), added)), grants)


def _shown(
    subject: str,
    member: tuple[str, str] | None,
    by_role: list[str],
    grants: list[dict[str, object]],
) -> Answer:
    status, role = member or (GUEST, GUEST)
    counts = status == Status.ACTIVE
    return json_answer(
        200,
        {
            "subject": subject,
            "status": status,
            "role": role,
            "permissions": by_role if counts else [],
            "grants": grants if counts else [],
        },
    )
