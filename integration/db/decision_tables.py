"""The table of logged decisions. Edges write it (`integration/edge/decisions/decision_log.py`)."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Float, Identity, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class PermissionDecision(Table):
    """One decision: every denial, and a share of what was allowed.

    Attributes:
        subject: As it was asked about.
        relation: A permit of the namespace.
        reason: As the answer gave it.
        epoch: At which it was decided; opaque.
        milliseconds: From the question to the decision, at the edge.
        asked_by: `key:<public id>`, `member`, or `forward-auth`.
    """

    __tablename__ = "permission_decisions"
    __table_args__ = (Index(None, "at"), Index(None, "subject", "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    subject: Mapped[str] = mapped_column(Text)
    namespace: Mapped[str] = mapped_column(Text)
    object: Mapped[str] = mapped_column(Text)
    relation: Mapped[str] = mapped_column(Text)
    allowed: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    epoch: Mapped[str] = mapped_column(Text)
    milliseconds: Mapped[float] = mapped_column(Float)
    asked_by: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
