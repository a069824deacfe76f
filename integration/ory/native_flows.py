"""Kratos' native flows, driven for one client through our own edge: its guards see everything.

Nothing else of ours submits to Kratos. No transaction may be open meanwhile: hooks are asked.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from integration import on_behalf
from integration.errors import UpstreamUnavailableError
from integration.ory.kratos_flows import FlowKind
from integration.ory.transport import send

_PASSED_ON = ("retry-after", "ratelimit", "ratelimit-policy")


@dataclass(frozen=True, slots=True)
class FlowClient:
    """For whom a flow is driven.

    Attributes:
        address: As the edge decided it.
    """

    address: str
    user_agent: str
    request_id: str


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """What Kratos, or the edge in its place, answered to a submit. Never a 5xx.

    Attributes:
        headers: Those about waiting.
    """

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class NativeFlows:
    """The edge, asked on behalf of clients."""

    def __init__(self, client: httpx.Client, *, secret: str) -> None:
        self._client = client
        self._secret = secret

    def submit(self, kind: FlowKind, body: dict[str, Any], who: FlowClient) -> FlowAnswer:
        """Start a flow and submit it.

        Raises:
            UpstreamUnavailableError: no answer, or none that says anything.
        """
        start = f"/self-service/{kind}/api"
        flow = send(self._client, "GET", start, headers=self._headers(start, who)).json()
        path = f"/self-service/{kind}"
        try:
            response = self._client.post(
                path, params={"flow": flow["id"]}, json=body, headers=self._headers(path, who)
            )
        except httpx.TransportError as error:
            raise UpstreamUnavailableError(
                "An identity service did not answer.", detail=f"POST {path}: {error!r}"
            ) from error
        return _read(response)

    def _headers(self, path: str, who: FlowClient) -> list[tuple[bytes, bytes]]:
        said = on_behalf.issue(self._secret, who.address, path, now=time.time())
        fields = {
            "Accept": "application/json",
            "User-Agent": who.user_agent,
            "X-Request-Id": who.request_id,
            on_behalf.HEADER: said,
        }
        # What came in a header is Latin-1, whatever it is.
        return [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]


def _read(response: httpx.Response) -> FlowAnswer:
    path = response.request.url.path
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.is_server_error or response.is_redirect or not isinstance(body, dict):
        raise UpstreamUnavailableError(
            "An identity service did not answer.", detail=f"POST {path}: {response.status_code}"
        )
    headers = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
    return FlowAnswer(response.status_code, body, headers)
