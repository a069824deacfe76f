"""The tables of what was written to Keto through the edge."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUID_COLUMN
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class TupleWrite(Table):
    """One call that changed tuples, or asked to. Kept.

    Written before Keto is asked and completed with its answer.

    Attributes:
        action: `put`, `patch`, `delete`, or `roles` when members' roles changed instead.
        tuples: `{"insert": [...], "delete": [...]}` in the form `Content:x#owners@<subject>`, or
            `{"matching": {...}, "count": n}`. Without those that were there already.
        subjects: Whose epochs moved: members, and `epochs.EDGES`.
        status: Keto's answer, or ours; None when nobody saw one.
        ended_at: When the epochs moved for the second time; None while Keto is being asked, or
            when whoever asked it died. The sweep ends such a row.
    """

    __tablename__ = "tuple_writes"
    __table_args__ = (
        Index(None, "at"),
        Index("ix_tuple_writes_open", "at", postgresql_where=text("ended_at is null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    api_key_id: Mapped[str]
    request_id: Mapped[str]
    action: Mapped[str]
    tuples: Mapped[dict[str, Any]]
    subjects: Mapped[list[UUID]] = mapped_column(ARRAY(UUID_COLUMN(as_uuid=True)))
    status: Mapped[int | None]
    ended_at: Mapped[datetime | None]


class TupleObject(Table):
    """An object that was ever written through an edge, as 64 bits of its name. Kept."""

    __tablename__ = "tuple_objects"

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class TupleNamespace(Table):
    """A namespace of Keto.

    Attributes:
        is_complete: Whether `tuple_objects` names every object there, as far as nobody writes
            past the edge: it was empty when the edge first wrote to it, or was emptied since.
    """

    __tablename__ = "tuple_namespaces"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    is_complete: Mapped[bool]
