"""Epochs: whoever remembers an answer about a subject learns here that it may be wrong now.

Move the epoch in the transaction that changes something: a member's status, role or traits, the end
or the hold of a session, a grant, a tuple. Edges hear of it within a quarter of a second
(`integration/edge/epochs.py`), and at once of what they forwarded themselves.

A change of what Keto has to be told is *authority*: until Keto has it the subject is settling, and
nobody answers about it from memory.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from integration.db.epoch_tables import SubjectEpoch
from integration.db.sessions import remember_moved

EDGES = UUID(int=0)
"""The subject of everything between objects: parents of channels, audiences of content."""

_MOVE = text(
    """
    INSERT INTO subject_epochs AS known (subject_id, epoch, authority_epoch, settled_epoch, xid)
    VALUES (
        :subject_id, 1, CASE WHEN :authority THEN 1 ELSE 0 END, 0,
        pg_current_xact_id()::text::bigint
    )
    ON CONFLICT (subject_id) DO UPDATE SET
        epoch = known.epoch + 1,
        authority_epoch =
            CASE WHEN :authority THEN known.epoch + 1 ELSE known.authority_epoch END,
        xid = pg_current_xact_id()::text::bigint
    RETURNING epoch
    """
)
_SETTLE = text(
    """
    UPDATE subject_epochs SET settled_epoch = :epoch, xid = pg_current_xact_id()::text::bigint
    WHERE subject_id = :subject_id AND settled_epoch < :epoch
    """
)


def move(session: Session, subject_id: UUID, *, authority: bool = False) -> int:
    """Note that something about a subject changes with this transaction; return its new epoch.

    Holds the row until the transaction ends: take the member's row first.

    Args:
        authority: Keto has to be told, by an effect of the same transaction; the subject is
            settling until `settled`.
    """
    remember_moved(session, subject_id)
    values = {"subject_id": subject_id, "authority": authority}
    return int(session.execute(_MOVE, values).scalar_one())


def current(session: Session, subject_id: UUID) -> int:
    """Return a subject's epoch; 0 when nothing ever changed."""
    known = session.get(SubjectEpoch, subject_id, populate_existing=True)
    return 0 if known is None else known.epoch


def is_settling(session: Session, subject_id: UUID) -> bool:
    """Tell whether Keto has not been told everything yet."""
    known = session.get(SubjectEpoch, subject_id, populate_existing=True)
    return known is not None and known.settled_epoch < known.authority_epoch


def settled(session: Session, subject_id: UUID, epoch: int) -> None:
    """Note that Keto has what was true at `epoch`, read before what Keto was told was read."""
    remember_moved(session, subject_id)
    session.execute(_SETTLE, {"subject_id": subject_id, "epoch": epoch})
