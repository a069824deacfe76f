"""The same SDK call made twice, straight at Ory and through the edge, and what it answered.

Everything that must differ from call to call is replaced: ids, times, tokens, names.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import ory_client
from ory_client import (
    CreateIdentityBody,
    FrontendApi,
    IdentityApi,
    PermissionApi,
    RelationshipApi,
    VerifiableIdentityAddress,
)
from ory_client.exceptions import ApiException
from pydantic import ValidationError

from tests.private_stack import PATIENCE

# The headers that matter to a client.
HEADERS = (
    "cache-control",
    "content-type",
    "link",
    "location",
    "vary",
    "x-kratos-authenticated-identity-id",
    "x-total-count",
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_TOKEN = re.compile(r"\bory_[a-z]{2}_[A-Za-z0-9]+")
_SECRET_NAMES = frozenset(
    {"session_token", "logout_token", "recovery_code", "csrf_token", "hashed_password"}
)
_SECRET_NODES = frozenset({"csrf_token", "totp_qr", "totp_secret_key", "lookup_secret_codes"})
# Intended differences (docs/compatibility.md).
_OURS = frozenset({"status", "role"})


@dataclass
class Answered:
    """One call's answer."""

    call: str
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: Any


@dataclass
class Way:
    """One way to Ory, and somebody who goes it."""

    name: str
    front: FrontendApi
    identities: IdentityApi
    permissions: PermissionApi
    relations: RelationshipApi
    bases: tuple[str, ...]
    email: str = ""
    username: str = ""
    password: str = ""
    identity_id: str = ""
    answers: list[Answered] = field(default_factory=list)
    jar: dict[str, str] = field(default_factory=dict)
    raw: Any = None

    def call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Make a call, note the answer and return the parsed body."""
        with suppress(ApiException, ValidationError):
            method(*arguments, **named)
        answer = method.__self__.api_client.rest_client.last
        headers = answer.response.headers
        self.raw = _parsed(answer.data)
        self._keep_cookies(headers)
        self.answers.append(
            Answered(
                method.__name__,
                answer.status,
                {n: self._plain(headers[n]) for n in HEADERS if n in headers},
                sorted(self._cookie_shapes(headers)),
                self._plain(self.raw),
            )
        )
        return self.raw

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def csrf(self) -> str:
        nodes = (self.raw or {}).get("ui", {}).get("nodes") or []
        named = {node["attributes"].get("name"): node["attributes"] for node in nodes}
        return str(named["csrf_token"]["value"])

    def _keep_cookies(self, headers: Any) -> None:
        for cookie in _set_cookies(headers):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar[name] = value

    def _cookie_shapes(self, headers: Any) -> list[str]:
        """Return each cookie's name and attributes; cookies of ours are intended differences."""
        shapes = []
        for cookie in _set_cookies(headers):
            pair, _, attributes = cookie.partition(";")
            if not pair.startswith("kleis_"):
                kept = re.sub(r"(Expires|Max-Age)=[^;]*", r"\1", attributes)
                shapes.append(f"{pair.partition('=')[0]};{kept}")
        return shapes

    def _plain(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return self._plain_object(value, name)
        if isinstance(value, list):
            plain = [self._plain(item, name) for item in value]
            return sorted(plain) if name == "identifiers" else plain  # in no order of Kratos'
        return self._plain_text(value, name) if isinstance(value, str) else value

    def _plain_object(self, value: dict[str, Any], name: str) -> Any:
        # Kratos repeats the request id that the edge sends it.
        kept = {key: item for key, item in value.items() if key != "request"}
        if name == "metadata_public":
            kept = {key: item for key, item in kept.items() if key not in _OURS}
            return kept or None
        plain = {key: self._plain(item, key) for key, item in kept.items()}
        is_node = kept.get("name") in _SECRET_NODES or kept.get("id") in _SECRET_NODES
        if kept.get("name") == "identifier" and "value" in kept:
            plain["value"] = "<identifier>"  # of several, Kratos shows any
        if is_node:
            plain.update({key: "<secret>" for key in ("value", "src", "text") if key in plain})
        return plain

    def _plain_text(self, text: str, name: str) -> str:
        if name in _SECRET_NAMES or name == "ip_address":
            return "<one>"
        for own, word in (
            (self.email, "<email>"),
            (quote(self.email), "<email>"),
            (self.username, "<username>"),
            *((base, "<base>") for base in self.bases),
        ):
            text = text.replace(own, word) if own else text
        return _TOKEN.sub("<token>", _TIME.sub("<time>", _UUID.sub("<id>", text)))


def _set_cookies(headers: Any) -> list[str]:
    return list(headers.getlist("set-cookie"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def _remember(rest_client: Any) -> None:
    """Have a client's transport keep its last answer: the client shows no cookies apart."""
    send = rest_client.request

    def request(*arguments: Any, **named: Any) -> Any:
        rest_client.last = send(*arguments, **named)
        return rest_client.last

    rest_client.request = request


def differences(edged: Any, straight: Any, where: str = "") -> list[str]:
    """Return where two values differ, and how."""
    if isinstance(edged, dict) and isinstance(straight, dict):
        names = sorted(edged.keys() | straight.keys())
        return [
            found
            for name in names
            for found in differences(
                edged.get(name, "<none>"), straight.get(name, "<none>"), f"{where}/{name}"
            )
        ]
    if isinstance(edged, list) and isinstance(straight, list) and len(edged) == len(straight):
        pairs = enumerate(zip(edged, straight, strict=True))
        return [found for n, (a, b) in pairs for found in differences(a, b, f"{where}/{n}")]
    return [] if edged == straight else [f"{where}: {edged!r}, not {straight!r}"]


def new_person(way: Way, admin: IdentityApi) -> None:
    """Give somebody new, verified and active, to a way."""
    name = secrets.token_hex(4)
    way.email, way.username = f"{name}@example.test", f"ada-{name}"
    way.password = f"Correct-Horse-{name[::-1]}"
    made = admin.create_identity(
        CreateIdentityBody(
            schema_id="member",
            traits={"email": way.email, "username": way.username},
            credentials={"password": {"config": {"password": way.password}}},
            verifiable_addresses=[
                VerifiableIdentityAddress(
                    value=way.email, verified=True, via="email", status="completed"
                )
            ],
        )
    )
    way.identity_id = str(made.id)
    # The worker tells Kratos the status; until then the two ways would be in different states.
    deadline = time.monotonic() + PATIENCE
    while (admin.get_identity(way.identity_id).metadata_public or {}).get("status") != "active":
        assert time.monotonic() < deadline, "Kratos was not told that the member is active"
        time.sleep(0.05)


def both_ways(stack: Any, opened: ExitStack) -> tuple[Way, Way]:
    """Return the way past the edge and the way through it, each with somebody of its own."""
    key = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}

    def client(base: str, headers: dict[str, str] | None = None) -> ory_client.ApiClient:
        made = ory_client.ApiClient(ory_client.Configuration(host=base, retries=False))
        made.default_headers.update(headers or {})
        _remember(made.rest_client)
        opened.callback(made.rest_client.pool_manager.clear)
        return made

    ports = {
        name: f"http://127.0.0.1:{stack.environ[f'KLEIS_PORT_{name}']}"
        for name in ("KRATOS_PUBLIC", "KRATOS_ADMIN", "KETO_READ", "KETO_WRITE")
    }
    relations = RelationshipApi(client(ports["KETO_WRITE"]))
    direct = Way(
        "direct",
        FrontendApi(client(ports["KRATOS_PUBLIC"])),
        IdentityApi(client(ports["KRATOS_ADMIN"])),
        PermissionApi(client(ports["KETO_READ"])),
        relations,
        bases=(f"{ports['KRATOS_ADMIN']}/admin", *ports.values(), stack.edge_url),
    )
    edge = client(stack.edge_url, key)
    through = Way(
        "edge",
        FrontendApi(client(stack.edge_url)),
        IdentityApi(edge),
        PermissionApi(edge),
        RelationshipApi(edge),
        bases=(f"{stack.edge_url}/admin", stack.edge_url),
    )
    for way in (direct, through):
        new_person(way, through.identities)
    return direct, through


def totp(secret: str) -> str:
    """Return the code of this half minute. Source: RFC 6238, RFC 4226 section 5.3."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
