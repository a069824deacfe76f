"""`/api/admin/audit`: who changed whose authority, and why."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from integration.api.admin_authentication import needs
from integration.api.inputs import Name
from integration.api.paging import Page, Paged
from integration.authority.admins import Admin
from integration.db import authority_audit
from integration.db.authority_audit import Filter
from integration.db.grant_tables import AuthorityAudit
from integration.dependencies import Transaction

router = APIRouter(prefix="/api/admin/audit", tags=["audit"])

Reader = Annotated[Admin, needs("audit.read", "operations:read")]


class AuditView(BaseModel):
    """One change. `actor` is `key:<id>`, `member:<uuid>`, `operator` or `system`."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    request_id: str


@router.get("")
def list_audit(
    *,
    _: Reader,
    paged: Paged,
    session: Transaction,
    subject: UUID | None = None,
    actor: Name | None = None,
    action: Name | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[AuditView]:
    """List changes of authority, the latest first."""
    found = authority_audit.page(
        session,
        Filter(subject, actor, action, since, until),
        before_id=paged.after_number(),
        limit=paged.limit + 1,
    )
    return paged.page(found, _view, lambda row: [row.id])


def _view(row: AuthorityAudit) -> AuditView:
    return AuditView(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject_id,
        before=row.before,
        after=row.after,
        reason=row.reason,
        request_id=row.request_id,
    )
