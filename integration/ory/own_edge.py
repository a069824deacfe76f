"""The edge, asked by the service on behalf of a client: Kratos' flows with all guards on the way.

For workflows in one call. Nothing of Kratos is imitated: a wrong password counts, limits and
password rules hold, and what follows a submit follows.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie
from typing import Any

import httpx

from integration import on_behalf
from integration.errors import LimitedError, UpstreamUnavailableError

_JSON = {"accept": "application/json"}
_WAITING = ("retry-after", "ratelimit", "ratelimit-policy")


@dataclass(frozen=True, slots=True)
class AskingClient:
    """For whom the service asks.

    Attributes:
        address: As the edge told us.
        user_agent: The client's own words.
        request_id: Of its request, so that the edge's log names the same.
        credentials: The headers of its session: `cookie`, `x-session-token`, `authorization`.
    """

    address: str
    user_agent: str = ""
    request_id: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_browser(self) -> bool:
        """Whether its session is in a cookie: then Kratos wants its other kind of flow."""
        return "cookie" in self.credentials

    def anonymous(self) -> "AskingClient":
        """Return the same client without its session."""
        return replace(self, credentials={})


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """What Kratos, or the edge in front of it, said.

    Attributes:
        headers: Those about waiting, names in lower case.
    """

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def retry_after(self) -> str:
        """Whole seconds, with a 429; else empty."""
        return self.headers.get("retry-after", "")

    @property
    def error_id(self) -> str:
        """Kratos' name of an error, or empty."""
        error = self.body.get("error")
        return str(error.get("id", "")) if isinstance(error, dict) else ""

    @property
    def is_disabled(self) -> bool:
        """Whether Kratos refuses an identity as disabled, which it says after the right password.

        Source: v1.3.1, running: 401 with these words, which have no id.
        """
        error = self.body.get("error")
        words = str(error.get("message", "")) if isinstance(error, dict) else ""
        return self.status == 401 and words == "identity is disabled"

    def limited(self) -> LimitedError:
        """Return a 429 as the error it is, in the edge's own words."""
        words = self.body.get("detail") or self.body.get("title") or "Please try again later."
        problem = str(self.body.get("type", "")).rpartition(":")[2]
        return LimitedError(str(words), retry_after=self.retry_after, problem=problem)

    def messages(self) -> list[dict[str, Any]]:
        """Return every message of a flow, each with the `field` it stands at, or ""."""
        ui = self.body.get("ui") or {}
        general = [{**message, "field": ""} for message in ui.get("messages") or ()]
        return general + [
            {**message, "field": (node.get("attributes") or {}).get("name", "")}
            for node in ui.get("nodes") or ()
            for message in node.get("messages") or ()
        ]


@dataclass(slots=True)
class OpenFlow:
    """One flow that was started, with the cookies that belong to it."""

    client: AskingClient
    action: str
    csrf_token: str
    cookie: str


class OwnEdge:
    """The edge's public paths."""

    def __init__(self, http: httpx.Client, secret: str) -> None:
        self._http = http
        self._secret = secret

    def start(self, kind: str, client: AskingClient, **query: str) -> OpenFlow | FlowAnswer:
        """Start a flow for a client, or return why there is none.

        Args:
            kind: `login`, `settings` and so on, as in Kratos' paths.

        Raises:
            UpstreamUnavailableError: no answer, or none that can be read.
        """
        path = f"/self-service/{kind}/{'browser' if client.is_browser else 'api'}"
        answer = self._send("GET", path, client, client.credentials, params=query)
        if answer.status_code != 200:
            return _read(answer)
        ui = _read(answer).body["ui"]
        tokens = [
            node["attributes"].get("value", "")
            for node in ui["nodes"] or ()
            if node["attributes"].get("name") == "csrf_token"
        ]
        action = httpx.URL(ui["action"])
        return OpenFlow(
            client=client,
            action=f"{action.path}?{action.query.decode()}",
            csrf_token=tokens[0] if client.is_browser and tokens else "",
            cookie=_merged(client.credentials.get("cookie", ""), answer),
        )

    def submit(self, flow: OpenFlow, **fields: Any) -> FlowAnswer:
        """Submit a flow and return the answer.

        Raises:
            UpstreamUnavailableError: no answer, or none that can be read.
        """
        credentials = dict(flow.client.credentials)
        if flow.client.is_browser:
            credentials["cookie"] = flow.cookie
            fields = {"csrf_token": flow.csrf_token, **fields}
        return _read(self._send("POST", flow.action, flow.client, credentials, json=fields))

    def native(self, kind: str, client: AskingClient, **fields: Any) -> FlowAnswer:
        """Start a native flow without a session, and submit it.

        Raises:
            UpstreamUnavailableError: no answer, or none that can be read.
        """
        flow = self.start(kind, client.anonymous())
        return flow if isinstance(flow, FlowAnswer) else self.submit(flow, **fields)

    def post(self, path: str, client: AskingClient, **fields: Any) -> FlowAnswer:
        """Submit a native flow whose address is known, without a session.

        Raises:
            UpstreamUnavailableError: no answer, or none that can be read.
        """
        return _read(self._send("POST", path, client, {}, json=fields))

    def _send(
        self,
        method: str,
        path: str,
        client: AskingClient,
        credentials: Mapping[str, str],
        **options: Any,
    ) -> httpx.Response:
        signed = path.partition("?")[0]
        fields = {
            **_JSON,
            on_behalf.HEADER: on_behalf.issue(
                self._secret, client.address, signed, now=time.time()
            ),
            "user-agent": client.user_agent,
            "x-request-id": client.request_id,
            **credentials,
        }
        # What came in a header is Latin-1, whatever it is.
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        try:
            answer = self._http.request(method, path, headers=headers, **options)
        except httpx.TransportError as error:
            raise UpstreamUnavailableError(
                "An identity service did not answer.",
                detail=f"{method} {signed}: {type(error).__name__}",
            ) from error
        if answer.is_server_error:
            raise UpstreamUnavailableError(
                "An identity service did not answer.", detail=f"{method}: {answer.status_code}"
            )
        return answer


def _read(answer: httpx.Response) -> FlowAnswer:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise UpstreamUnavailableError(
            "An identity service gave an answer we cannot read.", detail=str(answer.status_code)
        )
    waiting = {name: answer.headers[name] for name in _WAITING if name in answer.headers}
    return FlowAnswer(answer.status_code, body, waiting)


def _merged(sent: str, answer: httpx.Response) -> str:
    """Return a `Cookie` header with what an answer set."""
    pairs = dict(pair.strip().partition("=")[::2] for pair in sent.split(";") if "=" in pair)
    for line in answer.headers.get_list("set-cookie"):
        try:
            pairs |= {name: each.value for name, each in SimpleCookie(line).items()}
        except CookieError:
            continue
    return "; ".join(f"{name}={value}" for name, value in pairs.items())
