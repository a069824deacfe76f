"""Which client a request of ours comes from, for asking the edge on its behalf."""

from typing import Annotated

from fastapi import Depends, Request

from integration.api.authentication import credentials
from integration.ory.own_edge import Client

_UNKNOWN = "0.0.0.0"  # noqa: S104 - nothing listens
# Set by the edge, which alone reaches this process.
_ADDRESS = "true-client-ip"


def client_of(request: Request) -> Client:
    """Return the client, with the credentials of its session."""
    return Client(
        address=request.headers.get(_ADDRESS, _UNKNOWN),
        user_agent=request.headers.get("user-agent", ""),
        credentials=credentials(request),
    )


AskingClient = Annotated[Client, Depends(client_of)]
