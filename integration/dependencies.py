"""How a route asks for what it needs. A route without `Transaction` leaves the database alone."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from integration.services import Services


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


UsesServices = Annotated[Services, Depends(get_services)]


def open_transaction(services: UsesServices) -> Iterator[Session]:
    with services.transaction() as session:
        yield session


# scope="function": commit before the answer is sent. FastAPI's default commits after it, so that
# a caller could be told 200 for work that was then lost.
Transaction = Annotated[Session, Depends(open_transaction, scope="function")]
