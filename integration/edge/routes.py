"""Which path goes where, and who may. Read from the top: the first match counts."""

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_CREDENTIALS = "include_credential"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Upstream(Enum):
    """Who answers. The addresses are in the settings."""

    KRATOS_PUBLIC = "kratos_public_url"
    KRATOS_ADMIN = "kratos_admin_url"
    KETO_READ = "keto_read_url"
    KETO_WRITE = "keto_write_url"
    KETO_OPL = "keto_opl_url"
    SERVICE = "service_url"
    # No route leads there: only the edge itself asks.
    HOOKS = "hooks_url"


class Handling(Enum):
    """What happens on the way, besides the cleaning that every request gets."""

    FORWARD = "forward"
    SELF_SERVICE = "self_service"
    WHOAMI = "whoami"
    OWN_SESSIONS = "own_sessions"
    IDENTITY_ADMIN = "identity_admin"
    TUPLE_ADMIN = "tuple_admin"
    TUPLE_LIST = "tuple_list"
    TUPLE_EXPAND = "tuple_expand"
    CHECK = "check"
    BATCH_CHECK = "batch_check"
    PERMISSION_CHECK = "permission_check"
    PERMISSION_BATCH_CHECK = "permission_batch_check"
    PERMISSION_EXPLAIN = "permission_explain"
    PERMISSION_SUBJECT = "permission_subject"
    FORWARD_AUTH = "forward_auth"
    PERMISSION_EPOCHS = "permission_epochs"
    READINESS = "readiness"
    LONG_POLL = "long_poll"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        name: What logs call it.
        path: An exact path; with `/*` at its end also everything below that.
        keys: Half of the API key scope needed (`identities`, `permissions`); None: anybody.
        methods: The only methods offered here.
        access: The scope's other half for every method (`read`, `write`); None: by the method.
        is_ory: Whether Kratos or Keto answers.
    """

    name: str
    path: str
    upstream: Upstream
    handling: Handling = Handling.FORWARD
    keys: str | None = None
    methods: tuple[str, ...] = METHODS
    access: str | None = None
    is_ory: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_ory", self.upstream is not Upstream.SERVICE)

    def scope(self, method: str, query: str = "") -> str | None:
        """Return the API key scope that a request needs here, or None."""
        if self.keys is None:
            return None
        if self.keys == "identities" and _asks_for_credentials(query):
            # Hashes, TOTP secrets, tokens of providers: with them one is the member.
            return "identities:write"
        return f"{self.keys}:{self.access or ('read' if method in _READING else 'write')}"


def _asks_for_credentials(query: str) -> bool:
    return any(name == _CREDENTIALS for name, _ in parse_qsl(query, keep_blank_values=True))


_GET = ("GET", "HEAD", "OPTIONS")
_GET_POST = ("GET", "HEAD", "POST", "OPTIONS")
_POST = ("POST", "OPTIONS")


def _below(
    name: str,
    path: str,
    upstream: Upstream,
    handling: Handling = Handling.FORWARD,
    keys: str | None = None,
    *,
    access: str | None = None,
) -> tuple[Route, Route]:
    return (
        Route(name, path, upstream, handling, keys, access=access),
        Route(name, f"{path}/*", upstream, handling, keys, access=access),
    )


def _keto(path: str, methods: tuple[str, ...], handling: Handling = Handling.FORWARD) -> Route:
    name = "keto" + path.replace("/", ".")
    return Route(name, path, Upstream.KETO_READ, handling, "permissions", methods, "read")


def _permissions(path: str, methods: tuple[str, ...], handling: Handling) -> Route:
    name = "permissions" + path.replace("/", ".").replace("*", "")
    return Route(name, f"/api/permissions{path}", Upstream.SERVICE, handling, methods=methods)


ROUTES: tuple[Route, ...] = (
    Route("kratos.self_service", "/self-service/*", Upstream.KRATOS_PUBLIC, Handling.SELF_SERVICE),
    Route("kratos.whoami", "/sessions/whoami", Upstream.KRATOS_PUBLIC, Handling.WHOAMI),
    Route(
        "kratos.token_exchange",
        "/sessions/token-exchange",
        Upstream.KRATOS_PUBLIC,
        Handling.SELF_SERVICE,
        methods=_GET,
    ),
    *_below("kratos.sessions", "/sessions", Upstream.KRATOS_PUBLIC, Handling.OWN_SESSIONS),
    *_below("kratos.schemas", "/schemas", Upstream.KRATOS_PUBLIC),
    Route("kratos.well_known", "/.well-known/ory/*", Upstream.KRATOS_PUBLIC),
    *_below(
        "kratos.admin.identities",
        "/admin/identities",
        Upstream.KRATOS_ADMIN,
        Handling.IDENTITY_ADMIN,
        "identities",
    ),
    *_below(
        "kratos.admin.sessions",
        "/admin/sessions",
        Upstream.KRATOS_ADMIN,
        Handling.IDENTITY_ADMIN,
        "identities",
    ),
    *_below(
        "kratos.admin.recovery",
        "/admin/recovery",
        Upstream.KRATOS_ADMIN,
        Handling.IDENTITY_ADMIN,
        "identities",
    ),
    # Mails hold codes that recover an account (Kratos hides them, but not under `--dev`).
    *_below(
        "kratos.admin.courier",
        "/admin/courier",
        Upstream.KRATOS_ADMIN,
        keys="identities",
        access="write",
    ),
    _keto("/relation-tuples", _GET, Handling.TUPLE_LIST),
    _keto("/relation-tuples/check", _GET_POST, Handling.CHECK),
    _keto("/relation-tuples/check/openapi", _GET_POST, Handling.CHECK),
    _keto("/relation-tuples/batch/check", _POST, Handling.BATCH_CHECK),
    _keto("/relation-tuples/expand", _GET, Handling.TUPLE_EXPAND),
    _keto("/namespaces", _GET),
    Route(
        "keto.opl.syntax.check",
        "/opl/syntax/check",
        Upstream.KETO_OPL,
        keys="permissions",
        methods=_POST,
        access="read",
    ),
    Route(
        "keto.admin.relation-tuples",
        "/admin/relation-tuples",
        Upstream.KETO_WRITE,
        Handling.TUPLE_ADMIN,
        keys="permissions",
        methods=("PUT", "PATCH", "DELETE", "OPTIONS"),
        access="write",
    ),
    Route("health.ready", "/health/ready", Upstream.SERVICE, Handling.READINESS),
    _permissions("/check", ("POST",), Handling.PERMISSION_CHECK),
    _permissions("/batch-check", ("POST",), Handling.PERMISSION_BATCH_CHECK),
    _permissions("/explain", ("POST",), Handling.PERMISSION_EXPLAIN),
    _permissions("/epochs", ("GET",), Handling.PERMISSION_EPOCHS),
    _permissions("/*", ("GET", "HEAD"), Handling.PERMISSION_SUBJECT),
    Route(
        "forward_auth",
        "/api/forward-auth",
        Upstream.SERVICE,
        Handling.FORWARD_AUTH,
        methods=("GET", "HEAD"),
    ),
    Route("revocations", "/api/tokens/revocations", Upstream.SERVICE, Handling.LONG_POLL),
    Route("service", "/*", Upstream.SERVICE, Handling.SERVICE),
)


# An exact path stands above every prefix that would match it, so it can be looked up first.
_EXACT = {route.path: route for route in reversed(ROUTES) if not route.path.endswith("/*")}
_BELOW = tuple((route.path[:-1], route) for route in ROUTES if route.path.endswith("/*"))


def find(path: str) -> Route:
    """Return the route of a canonical path."""
    exact = _EXACT.get(path)
    if exact is not None:
        return exact
    for prefix, route in _BELOW:
        if path.startswith(prefix):
            return route
    raise LookupError(path)


def is_misspelt(path: str) -> bool:
    """Tell whether this is one of Ory's paths but for its case or a slash at its end.

    Nobody behind us would answer it as meant, and a proxy in front may have read it as the
    other one. Ids and provider names below a prefix may have capitals.
    """
    if find(path).is_ory:
        return path.endswith("/")
    plain = path.lower().rstrip("/")
    return plain != path and bool(plain) and find(plain).is_ory
