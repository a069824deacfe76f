"""How a route asks for what it needs. A route without `Transaction` leaves the database alone."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from integration.services import Services
from integration.tokens.key_ring import KeyRing


# `async`, though they wait for nothing: a plain function would be handed to a thread.
async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


UsesServices = Annotated[Services, Depends(get_services)]


def open_transaction(services: UsesServices) -> Iterator[Session]:
    with services.transaction() as session:
        yield session


# scope="function": commit before the answer is sent. FastAPI's default commits after it, so that
# a caller could be told 200 for work that was then lost.
Transaction = Annotated[Session, Depends(open_transaction, scope="function")]


async def get_key_ring(request: Request, services: UsesServices) -> KeyRing:
    """Return the keys of this process; they are read when they are first used."""
    state = request.app.state
    if not hasattr(state, "key_ring"):
        state.key_ring = KeyRing(services.settings, services.transaction, services.now)
    ring: KeyRing = state.key_ring
    return ring


UsesKeyRing = Annotated[KeyRing, Depends(get_key_ring)]
