"""Hands due effects to the queue: those nobody rang for, and those to be tried again."""

from integration.db import outbox
from integration.services import Services


def relay(services: Services) -> int:
    """Ring for every effect that is due, and return how many.

    They are leased before the ringing: a lost message is sent again when the lease ends.
    """
    with services.transaction() as session:
        due = outbox.lease_due(session, now=services.now(), held_lanes=held_lanes(services))
    if due:
        services.ring(due)
    return len(due)


def held_lanes(services: Services) -> tuple[str, ...]:
    """Return the lanes that wait for a consumer: events, until one is configured."""
    return () if services.settings.events_url else ("event",)
