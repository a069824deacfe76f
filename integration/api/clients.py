"""What the edge tells about the client of a request, and what the client proves."""

from typing import Annotated

from fastapi import Depends, Request

from integration.api.authentication import access_token_of
from integration.dependencies import UsesServices
from integration.errors import InvalidInputError
from integration.members.callers import credentials
from integration.ory.own_edge import AskingClient
from integration.tokens import dpop
from integration.tokens.clients import Client
from integration.tokens.dpop import DpopClaim, InvalidProofError
from integration.tokens.signer import issuer

_UNKNOWN = "0.0.0.0"  # noqa: S104 - nobody listens there
# Set by the edge alone (integration/edge/forwarding.py).
_ADDRESS = "true-client-ip"
_PROOF = "dpop"


async def read_client(request: Request, services: UsesServices) -> Client:
    """Return who asks.

    Raises:
        InvalidInputError: it sent a proof of possession that does not hold.
    """
    return Client(
        address=request.headers.get(_ADDRESS, ""),
        user_agent=request.headers.get("user-agent", ""),
        proof=_proof(request, services),
    )


def read_asking(request: Request) -> AskingClient:
    """Return for whom the edge is asked, with the credentials of its session."""
    given = credentials(request.headers)
    if access_token_of(request) is not None:
        del given["authorization"]
    return AskingClient(
        address=request.headers.get(_ADDRESS) or _UNKNOWN,
        user_agent=request.headers.get("user-agent", ""),
        request_id=request.headers.get("x-request-id", ""),
        credentials=given,
    )


def _proof(request: Request, services: UsesServices) -> DpopClaim | None:
    proofs = request.headers.getlist(_PROOF)
    if not proofs:
        return None
    if len(proofs) > 1:
        raise InvalidInputError("A request has one DPoP proof.")
    url = issuer(services.settings) + request.url.path
    try:
        return dpop.read(proofs[0], method=request.method, url=url, now=services.now())
    except InvalidProofError as error:
        raise InvalidInputError("The DPoP proof does not hold.", detail=str(error)) from error


CallingClient = Annotated[Client, Depends(read_client)]
AskedFor = Annotated[AskingClient, Depends(read_asking)]
