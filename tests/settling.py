"""A subject settled in Keto, on a machine that may be busy: one call has less than a second."""

from uuid import UUID

from integration.authority import keto_tuples
from integration.errors import KleisError
from integration.services import Services

_TRIES = 20


def settle(services: Services, subject_id: UUID) -> None:
    """Settle, however often it has to be tried; raise what the last try said."""
    for _ in range(_TRIES - 1):
        try:
            keto_tuples.settle(services, subject_id)
        except KleisError:
            continue
        return
    keto_tuples.settle(services, subject_id)
