"""Who asks for tokens."""

from dataclasses import dataclass

from integration.tokens.dpop import DpopClaim


@dataclass(frozen=True, slots=True)
class Client:
    """A client, as the edge tells and as it proves.

    Attributes:
        address: Decided by the edge.
        user_agent: The client's own words.
        proof: That it holds a key (RFC 9449), good for this very request; None: it sent none.
    """

    address: str
    user_agent: str
    proof: DpopClaim | None = None
