"""`GET /api/forward-auth`: a reverse proxy asks whether it may let a request through.

The request is described by headers the proxy sets: `X-Forwarded-Method/-Host/-Uri` (Traefik,
Caddy) or `X-Original-Method/-Host/-URI` (nginx). A client can add those of the other kind; where
both speak they must say the same. 200 lets through, with who it is in `X-Kleis-*`; 401 means "log
in", 403 "no". Nothing of it may be kept by anybody.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt

from integration.edge import canonical
from integration.edge.asgi import Answer, RawHeaders
from integration.edge.decisions.askers import SECOND_FACTOR_REQUIRED
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision import Asking
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.decisions.people import People, Person
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.settings import Settings
from policies.authority import GUEST_SUBJECT
from policies.forward_auth import Matched, Need, Permit, Rule, Unmatched, find, plain_host
from policies.permission_questions import GUEST, Question

CONTEXT_TYPE = "kleis-context+jwt"
CONTEXT_SECONDS = 60

LOGIN_REQUIRED = Refusal(
    401,
    "login_required",
    "Please log in.",
    ((b"www-authenticate", b'Bearer realm="kleis"'),),
)
NOT_ALLOWED = Refusal(403, "not_allowed", "This is not allowed to you.")
_UNMATCHED = {
    Unmatched.MALFORMED: Refusal(
        403, "request_malformed", "The proxy does not say which request this is about."
    ),
    Unmatched.NO_RULE: Refusal(403, "no_rule", "No rule lets this through."),
    Unmatched.AMBIGUOUS: Refusal(403, "path_ambiguous", "This path can be read in two ways."),
    Unmatched.OBJECT: Refusal(403, "object_malformed", "Nothing has such a name."),
}
_SOURCES = {
    "method": (b"x-forwarded-method", b"x-original-method"),
    "host": (b"x-forwarded-host", b"x-original-host"),
    "uri": (b"x-forwarded-uri", b"x-original-uri"),
}


@dataclass(frozen=True, slots=True)
class Described:
    """The request a proxy asks about; the path is canonical, without its query."""

    method: str
    host: str
    path: str


class ForwardAuth:
    """Answers proxies."""

    def __init__(
        self,
        settings: Settings,
        rules: Sequence[Rule],
        *,
        people: People,
        decisions: Decisions,
        log: DecisionLog,
    ) -> None:
        self._rules = rules
        self._people = people
        self._decisions = decisions
        self._log = log
        self._issuer = str(settings.public_url).rstrip("/")
        secret = settings.forward_auth_secret
        self._secret = None if secret is None else secret.get_secret_value()

    async def answer(self, request: Request, _: Route) -> Answer:
        """Return 200 with who it is.

        Raises:
            RefusedError: 401 or 403; 503 when it cannot be decided.
        """
        started = time.perf_counter()
        described = described_by(request.headers)
        if described is None:
            raise RefusedError(_UNMATCHED[Unmatched.MALFORMED])
        found = find(self._rules, method=described.method, host=described.host, path=described.path)
        if isinstance(found, Unmatched):
            raise RefusedError(_UNMATCHED[found])
        person = await self._people.of(request)
        if person is not None and person.is_held and found.need is not Need.NOTHING:
            raise RefusedError(SECOND_FACTOR_REQUIRED)
        if found.need is Need.SESSION and person is None:
            raise RefusedError(LOGIN_REQUIRED)
        if isinstance(found.need, Permit):
            await self._require(found.need, person, request.id, started)
        return self._let_through(described, found, person)

    async def _require(
        self, need: Permit, person: Person | None, request_id: str, started: float
    ) -> None:
        """Return when the permit is given: to the member, or to everybody.

        Raises:
            RefusedError: it is not.
        """
        subject = GUEST_SUBJECT if person is None else person.id
        question = Question(subject, need.namespace, need.object, need.relation)
        decision = await self._decisions.decide(Asking(question))
        self._log.add(question, decision, "forward-auth", request_id, started)
        if not decision.allowed:
            raise RefusedError(LOGIN_REQUIRED if person is None else NOT_ALLOWED)

    def _let_through(self, described: Described, found: Matched, person: Person | None) -> Answer:
        known = None if person is None or person.is_held else person
        subject = GUEST if known is None else known.id
        role = GUEST if known is None else known.role
        status = GUEST if known is None else known.status
        # All of them every time: a proxy copies them over what the client may have sent.
        headers: RawHeaders = [
            (b"x-kleis-subject", subject.encode()),
            (b"x-kleis-roles", role.encode()),
            (b"x-kleis-status", status.encode()),
            (b"cache-control", b"no-store"),
        ]
        if self._secret is not None:
            now = int(time.time())
            context = {
                "iss": self._issuer,
                "sub": subject,
                "roles": [role],
                "status": status,
                "method": described.method,
                "host": described.host,
                "path": described.path,
                "rule": found.rule.name,
                "iat": now,
                "exp": now + CONTEXT_SECONDS,
            }
            signed = jwt.encode(
                context, self._secret, algorithm="HS256", headers={"typ": CONTEXT_TYPE}
            )
            headers.append((b"x-kleis-context", signed.encode()))
        return Answer(200, headers, b"")


def described_by(fields: RawHeaders) -> Described | None:
    """Return the request a proxy asks about; None when that can be read in two ways or in none."""
    given = {name: _one(fields, sources) for name, sources in _SOURCES.items()}
    method, host, uri = given["method"], given["host"], given["uri"]
    if method is None or host is None or uri is None:
        return None
    path = uri.partition("?")[0]
    if uri != path and "#" in uri:
        return None
    # A request line may hold a whole address; what is behind it goes to no other host.
    if path.startswith(("http://", "https://")):
        split = urlsplit(path)
        if plain_host(split.netloc) != plain_host(host):
            return None
        path = split.path or "/"
    try:
        raw = path.encode("ascii")
    except UnicodeEncodeError:
        return None
    return None if canonical.path_fault(raw) else Described(method, host, path)


def _one(fields: RawHeaders, sources: tuple[bytes, ...]) -> str | None:
    values = {value for name, value in fields if name in sources}
    return values.pop().decode("latin-1") if len(values) == 1 else None
