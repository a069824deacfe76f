"""Kratos' self-service flows as a browser's pages need them, by the public port.

Only reads: people submit their forms to Kratos through the edge, never through here. Fields that
newer versions add are ignored, so that pages outlive an upgrade of Kratos.
"""

from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, Field, ValidationError

from integration.errors import NotFoundError, UpstreamRefusedError, UpstreamUnavailableError
from integration.ory.transport import send

_SECOND_FACTOR = "session_aal2_required"

_Answer = TypeVar("_Answer", bound=BaseModel)


class FlowKind(StrEnum):
    """The five flows that have pages. The value is the word in Kratos' paths."""

    LOGIN = "login"
    REGISTRATION = "registration"
    VERIFICATION = "verification"
    RECOVERY = "recovery"
    SETTINGS = "settings"


class Message(BaseModel):
    """A sentence of Kratos, or of a hook of ours, for the person.

    Attributes:
        id: Stable number. Ours are 9_400_000 and above. Source: Ory Kratos, `text/id.go`.
        type: `error`, `info` or `success`.
        context: Facts behind the sentence; ours have `code`.
    """

    id: int = 0
    text: str = ""
    type: str = "info"
    context: dict[str, Any] | None = None

    @property
    def code(self) -> str:
        """The reason's stable name where a hook of ours refused, else empty."""
        code = (self.context or {}).get("code", "")
        return code if isinstance(code, str) else ""


class Meta(BaseModel):
    label: Message | None = None


class Node(BaseModel):
    """One piece of a form. What `attributes` holds depends on `type`."""

    type: str
    group: str = "default"
    attributes: dict[str, Any] = Field(default_factory=dict)
    messages: list[Message] | None = None
    meta: Meta = Field(default_factory=Meta)


class Ui(BaseModel):
    action: str
    method: str = "POST"
    nodes: list[Node] | None = None
    messages: list[Message] | None = None


class FlowIdentity(BaseModel):
    """Whose settings a flow is about."""

    id: UUID


class Flow(BaseModel):
    """One flow of one browser.

    Attributes:
        identity: Of a settings flow.
        state: `choose_method`, `sent_email`, `passed_challenge`; in settings `show_form`,
            `success`.
        return_to: Where the person goes in the end. Kratos took it only off its own list.
        active: The method that was last tried.
    """

    id: str
    ui: Ui
    identity: FlowIdentity | None = None
    state: str = ""
    return_to: str | None = None
    active: str | None = None
    refresh: bool = False
    requested_aal: str = "aal1"
    expires_at: datetime | None = None


class Refusal(Enum):
    """Why a flow is not shown."""

    GONE = "gone"
    """It ran out, or there never was one."""
    FOREIGN = "foreign"
    """The browser that asks did not start it, or keeps no cookies."""
    NEEDS_LOGIN = "needs_login"
    NEEDS_SECOND_FACTOR = "needs_second_factor"


class FlowError(BaseModel):
    """What Kratos keeps for the error page. `message` and `reason` may name private addresses."""

    id: str = ""
    code: int = 500
    message: str = ""
    reason: str = ""


class _ErrorBody(BaseModel):
    error: FlowError = Field(default_factory=FlowError)


class _Logout(BaseModel):
    logout_token: str


class KratosFlows:
    """Kratos' public port, asked on behalf of one browser at a time."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get_flow(self, kind: FlowKind, flow_id: str, cookie: str) -> Flow | Refusal:
        """Return a flow, or why this browser may not have it.

        Args:
            cookie: The browser's `Cookie` header, empty when it sent none.

        Raises:
            UpstreamUnavailableError: Kratos did not answer as it should; worth retrying.
        """
        path = f"/self-service/{kind}/flows"
        response = self._get(path, cookie, {"id": flow_id})
        if response.is_success:
            return _parse(Flow, response)
        if response.status_code in {404, 410}:
            return Refusal.GONE
        # Kratos sends a person without a session off to log in.
        if response.status_code == 401 or response.is_redirect:
            return Refusal.NEEDS_LOGIN
        if response.status_code == 403:
            second_factor = _parse(_ErrorBody, response).error.id == _SECOND_FACTOR
            return Refusal.NEEDS_SECOND_FACTOR if second_factor else Refusal.FOREIGN
        raise UpstreamUnavailableError(
            "An identity service did not answer.", detail=f"GET {path}: {response.status_code}"
        )

    def logout_token(self, cookie: str) -> str | None:
        """Return the token that ends this browser's session, or None when it has none.

        Raises:
            UpstreamUnavailableError: Kratos did not answer as it should.
        """
        headers = _headers(cookie)
        try:
            response = send(self._client, "GET", "/self-service/logout/browser", headers=headers)
        except UpstreamRefusedError:
            return None
        return _parse(_Logout, response).logout_token

    def get_error(self, error_id: str) -> FlowError | None:
        """Return what went wrong, or None when Kratos no longer knows.

        Raises:
            UpstreamUnavailableError: Kratos did not answer as it should.
        """
        try:
            response = send(self._client, "GET", "/self-service/errors", params={"id": error_id})
        except (NotFoundError, UpstreamRefusedError):
            return None
        return _parse(_ErrorBody, response).error

    def _get(self, path: str, cookie: str, query: dict[str, str]) -> httpx.Response:
        try:
            return self._client.get(path, params=query, headers=_headers(cookie))
        except httpx.TransportError as error:
            raise UpstreamUnavailableError(
                "An identity service did not answer.", detail=f"GET {path}: {type(error).__name__}"
            ) from error


def _headers(cookie: str) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    return {**headers, "Cookie": cookie} if cookie else headers


def _parse(model: type[_Answer], response: httpx.Response) -> _Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise UpstreamUnavailableError(
            "An identity service gave an answer we cannot read.",
            detail=f"{response.request.url.path}: {error.error_count()} errors in {model.__name__}",
        ) from error
