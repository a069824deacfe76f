"""What admins changed through Ory's admin paths. The edge writes the rows, without an ORM.

Of a deleted member the rows stay, as its own row does (docs/decisions/0010): who changed what
kind of thing and when. What would say who the member was goes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, or_, select
from sqlalchemy.orm import Session

from integration.db.audit_tables import AdminAudit
from integration.db.tables import Member
from policies.admin_changes import OUR_METADATA
from policies.lifecycle import Status

_NOT_EMPTIED: ColumnElement[str] = literal_column("'$.traits.* ? (@ != null)'::jsonpath")


def forget_person(session: Session, identity_id: UUID) -> None:
    """Empty what the rows of an identity say of the person."""
    rows = select(AdminAudit).where(AdminAudit.identity_id == identity_id).with_for_update()
    for row in session.scalars(rows):
        if row.before is not None:
            row.before = _emptied(row.before)
        if row.after is not None:
            row.after = _emptied(row.after)


def forget_deleted(session: Session, since: datetime, *, limit: int = 500) -> int:
    """Empty what was written of members while they were being deleted; return of how many.

    Args:
        since: Of their deletion.
    """
    late = (
        select(AdminAudit.identity_id)
        .join(Member, Member.identity_id == AdminAudit.identity_id)
        .where(
            Member.status == Status.DELETED,
            Member.status_changed_at >= since,
            or_(
                func.jsonb_path_exists(AdminAudit.before, _NOT_EMPTIED),
                func.jsonb_path_exists(AdminAudit.after, _NOT_EMPTIED),
            ),
        )
        .distinct()
        .limit(limit)
    )
    found = [identity_id for identity_id in session.scalars(late) if identity_id is not None]
    for identity_id in found:
        forget_person(session, identity_id)
    return len(found)


def _emptied(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as audited whose names stand and whose values about a person are null."""
    emptied = dict(identity)
    for name in ("traits", "metadata_public", "metadata_admin"):
        if isinstance(emptied.get(name), dict):
            ours = OUR_METADATA if name == "metadata_public" else ()
            emptied[name] = {key: v if key in ours else None for key, v in emptied[name].items()}
        elif name in emptied:
            emptied[name] = None
    addresses = emptied.get("verifiable_addresses")
    if isinstance(addresses, list):
        emptied["verifiable_addresses"] = [{**item, "value": None} for item in addresses]
    return emptied
