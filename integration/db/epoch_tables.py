"""The table of epochs."""

from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class SubjectEpoch(Table):
    """How often something changed about one subject that somebody may have remembered.

    Attributes:
        subject_id: A member, or `epochs.EDGES`.
        epoch: Grows with each change.
        authority_epoch: That of the last change of what Keto has to be told.
        settled_epoch: Up to which Keto was told; the subject is settling while it is behind.
        xid: Of the transaction that wrote the row last (`pg_current_xact_id`, never used twice),
            which is how readers find what is new.
    """

    __tablename__ = "subject_epochs"
    __table_args__ = (Index(None, "xid"),)

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    authority_epoch: Mapped[int] = mapped_column(BigInteger)
    settled_epoch: Mapped[int] = mapped_column(BigInteger)
    xid: Mapped[int] = mapped_column(BigInteger)
