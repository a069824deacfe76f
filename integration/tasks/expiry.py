"""What ends by itself to the second: grants whose time is over, and requests nobody decided."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from integration.authority import elevations, grant_endings
from integration.db import grants
from integration.services import Services

log = structlog.get_logger()


def expire(services: Services) -> None:
    """End what is overdue by now."""
    end_overdue_grants(services)
    with services.transaction() as session:
        elevations.lapse(session, now=services.now())


def end_overdue_grants(services: Services) -> int:
    """End every grant whose time is over, each member for itself; return of how many members."""
    with services.transaction() as session:
        subjects = grants.subjects_overdue(session, now=services.now())
    ended = 0
    for subject_id in subjects:
        try:
            with services.transaction() as session:
                grant_endings.expire_overdue(session, subject_id, now=services.now())
            ended += 1
        except SQLAlchemyError as error:
            # Somebody holds that member; the others do not wait for it.
            log.warning("expiry_skipped", member=str(subject_id), error=type(error).__name__)
    return ended
