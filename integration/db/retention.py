"""Deleting what has served: the oldest rows first, so many at once and no more."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    and_,
    any_,
    delete,
    func,
    inspect,
    literal_column,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

MOST_AT_ONCE = 10_000
"""One statement ends well within `KLEIS_DATABASE_TIMEOUT`, however much there is to delete."""
_PLACE: ColumnElement[Any] = literal_column("ctid")


def delete_oldest(
    session: Session,
    moment: InstrumentedAttribute[Any],
    before: datetime,
    *also: ColumnElement[bool],
    limit: int = MOST_AT_ONCE,
) -> int:
    """Delete the rows that are the longest past `before`, at most `limit`; return how many.

    Args:
        moment: The column that says when, of the table to delete from. An index that begins with
            it, or with what `also` compares, is what the rows are found by.
        also: What else has to be so.
    """
    table = inspect(moment.class_).local_table
    due = (*also, moment < before)
    places = select(_PLACE).select_from(table).where(*due).order_by(moment).limit(limit)
    # By place: by key, PostgreSQL may read the whole table again for each batch. A row that was
    # changed meanwhile is looked at once more, therefore what makes it due stands here too; as
    # `IS TRUE`, by which no index is chosen. Who believes that little is due would find it by that,
    # and look each row up among all the places.
    statement = delete(moment.class_).where(
        any_(func.array(places.correlate(None).scalar_subquery())) == _PLACE,
        and_(*due).is_(true()),
    )
    options = {"synchronize_session": False}
    result = session.execute(statement, execution_options=options)
    return cast("CursorResult[Any]", result).rowcount
