"""How far each self-service flow got."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.retention import delete_oldest
from integration.db.tables import Flow
from policies.progress import Step


def save(
    session: Session,
    flow_id: UUID,
    *,
    kind: str,
    state: str,
    steps: Sequence[Step],
    now: datetime,
    identity_id: UUID | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """Store how far a flow got, over what was known before."""
    values: dict[str, Any] = {
        "kind": kind,
        "state": state,
        "steps": [to_json(step) for step in steps],
        "error": error,
        "updated_at": now,
    }
    if identity_id is not None:
        values["identity_id"] = identity_id
    session.execute(
        insert(Flow)
        .values(flow_id=flow_id, created_at=now, **values)
        .on_conflict_do_update(index_elements=[Flow.flow_id], set_=values)
    )


def get(session: Session, flow_id: UUID) -> Flow | None:
    return session.get(Flow, flow_id)


def of_registration(session: Session, identity_id: UUID) -> Flow | None:
    """Return the flow in which an identity was registered."""
    return session.scalar(
        select(Flow).where(Flow.identity_id == identity_id, Flow.kind == "registration").limit(1)
    )


def forget_before(session: Session, before: datetime) -> int:
    """Delete the oldest flows not touched since the given moment; return how many."""
    return delete_oldest(session, Flow.updated_at, before)


def to_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": str(step.state),
        "at": step.at.isoformat() if step.at else None,
    }


def steps_of(flow: Flow) -> tuple[Step, ...]:
    """Return the steps of a stored flow."""
    return tuple(Step.parse(item["name"], item["state"], item["at"]) for item in flow.steps)
