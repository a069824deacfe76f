"""The mailbox of the embedded stack: every mail, where a mail server would have taken it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from integration.db.tables import MailboxMail


def put(
    session: Session,
    mail_id: UUID,
    *,
    to: str,
    subject: str,
    text: str,
    html: str,
    now: datetime,
) -> None:
    """Keep one mail. Putting the same mail twice keeps it once."""
    session.execute(
        insert(MailboxMail)
        .values(id=mail_id, recipient=to, subject=subject, text=text, html=html, at=now)
        .on_conflict_do_nothing()
    )


def mails(session: Session, *, to: str | None = None, limit: int = 500) -> list[MailboxMail]:
    """Return the newest `limit` mails, oldest first.

    Args:
        to: Only those to this address, in any case.
    """
    statement = select(MailboxMail).order_by(MailboxMail.at.desc(), MailboxMail.id).limit(limit)
    if to is not None:
        statement = statement.where(MailboxMail.recipient == to.lower())
    return list(session.scalars(statement))[::-1]
