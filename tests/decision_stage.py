"""An edge whose Keto and whose settling do as a test says; PostgreSQL and Valkey are real."""

import asyncio
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from aiohttp import web
from sqlalchemy import text

from integration.db import epochs
from tests.edge_stage import Answered, Upstream, ask, edge_running, settings_for, upstream_running

KETO = "/relation-tuples/check/openapi"
SETTLE = "/hooks/authority/settle"


@dataclass
class Keto(Upstream):
    """Plays Keto v0.13, the private port, and Kratos' whoami.

    Attributes:
        allowed: `(subject, object)` for whom every permit is given.
        seconds: How long a check takes.
        broken: What a check answers instead, status and text.
        settle: What a call to settle does; its status.
        asked: Checks that came, by subject and object.
    """

    allowed: set[tuple[str, str]] = field(default_factory=set)
    seconds: float = 0.0
    broken: tuple[int, str] | None = None
    settle: Callable[[str], int] = lambda _: 204
    settled: list[str] = field(default_factory=list)
    asked: Counter = field(default_factory=Counter)
    batch: bool = False

    async def do_relation_tuples_check_openapi(self, request):
        asked = json.loads(await request.read())
        self.asked[asked["subject_id"], asked["object"]] += 1
        answer = (asked["subject_id"], asked["object"]) in self.allowed
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.broken is not None:
            return web.Response(status=self.broken[0], text=self.broken[1])
        return web.json_response({"allowed": answer})

    async def do_relation_tuples_check(self, request):
        answer = await self.do_relation_tuples_check_openapi(request)
        if answer.status == 200 and b"false" in answer.body:
            return web.json_response({"allowed": False}, status=403)
        return answer

    async def do_relation_tuples_batch_check(self, request):
        """As Keto v0.14 answers, where `batch` says so."""
        if not self.batch:
            return web.Response(status=404, text="404 page not found")
        tuples = json.loads(await request.read())["tuples"]
        self.asked["batches"] += 1
        if len(tuples) > 10:
            return web.json_response({"error": {"code": 400}}, status=400)
        pairs = [(each["subject_id"], each["object"]) for each in tuples]
        return web.json_response({"results": [{"allowed": pair in self.allowed} for pair in pairs]})

    async def do_sessions_whoami(self, request):
        """A session of whoever the token names, as Kratos v1.3.1 shows it."""
        identity = request.headers.get("X-Session-Token")
        if identity is None:
            return web.json_response({"error": {"code": 401}}, status=401)
        now = datetime.now(UTC)
        session = {
            "id": str(uuid5(UUID(identity), "session")),
            "active": True,
            "expires_at": (now + timedelta(days=1)).isoformat(),
            "authenticated_at": now.isoformat(),
            "authenticator_assurance_level": "aal1",
            "authentication_methods": [{"method": "password"}],
            "identity": {"id": identity, "traits": {}},
        }
        headers = {"X-Kratos-Authenticated-Identity-Id": identity}
        return web.json_response(session, headers=headers)

    async def do_hooks_authority_settle(self, request):
        subject = json.loads(await request.read())["subject_id"]
        self.settled.append(subject)
        status = await asyncio.to_thread(self.settle, subject)
        return web.Response(status=status)


@dataclass
class Stage:
    """One edge, its surroundings, and a key that may ask about anybody."""

    port: int
    keto: Keto
    services: object
    key: dict[str, str]

    def check(self, subject: str, target: str = "Content:a", action: str = "view", **more):
        """Ask one question and return the answer's document."""
        answered = self.post("check", subject=subject, action=action, resource=target, **more)
        assert answered.status == 200, answered.body
        return answered.json()

    def post(self, path: str, *, headers=None, **document) -> Answered:
        return self.send(f"/api/permissions/{path}", document, headers=headers)

    def send(self, path: str, document, *, headers=None) -> Answered:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        fields = {"Content-Type": "application/json", **(self.key if headers is None else headers)}
        return ask(self.port, "POST", path, headers=fields, body=body)

    def member(self, status: str = "active", role: str = "user") -> str:
        """Insert a member and return its id."""
        identity_id = uuid4()
        self.execute(
            "insert into members (identity_id, status, role, status_changed_at, registered_at)"
            " values (:id, :status, :role, now(), now())",
            id=identity_id,
            status=status,
            role=role,
        )
        return str(identity_id)

    def grant(self, subject: str, *, seconds: float) -> None:
        """Insert a grant that ends in so many seconds."""
        self.execute(
            "insert into permission_grants (id, subject_id, permission, reason, granted_by,"
            " created_at, expires_at, expired_at) values (:id, :subject, 'content.publish', 'test',"
            " 'test', now(), now() + make_interval(secs => :seconds),"
            " case when :seconds < -30 then now() end)",
            id=uuid4(),
            subject=UUID(subject),
            seconds=seconds,
        )

    def move(self, subject: str, *, authority: bool = False) -> int:
        with self.services.transaction() as session:
            return epochs.move(session, UUID(subject), authority=authority)

    def settle(self, subject: str) -> int:
        """Do what the service does in our tables, and nothing in Keto; return 204."""
        with self.services.transaction() as session:
            epochs.settled(session, UUID(subject), epochs.current(session, UUID(subject)))
        self.execute(
            "update permission_grants set removed_at = now(), expired_at = now()"
            " where subject_id = :subject and expires_at <= now()",
            subject=UUID(subject),
        )
        return 204

    def execute(self, statement: str, **values) -> list:
        with self.services.transaction() as session:
            result = session.execute(text(statement), values)
            return list(result) if result.returns_rows else []


def new_key(services, *scopes: str) -> dict[str, str]:
    """Insert an API key and return its header."""
    key_id = secrets.token_hex(8)
    token = f"kleis_{key_id}_{secrets.token_urlsafe(32)}"
    with services.transaction() as session:
        session.execute(
            text(
                "insert into api_keys (id, sha256, name, scopes, created_at)"
                " values (:id, :sha256, 'test', :scopes, :now)"
            ),
            {
                "id": key_id,
                "sha256": hashlib.sha256(token.encode()).digest(),
                "scopes": list(scopes),
                "now": datetime.now(UTC),
            },
        )
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def stage_on(services, keto) -> Iterator[Stage]:
    """An edge before real Keto, asked with a key; what it settles comes to a double."""
    double = Keto()
    with upstream_running(double):
        here = f"http://127.0.0.1:{double.port}/"
        settings = settings_for(
            double.port,
            database_url=services.settings.database_url.get_secret_value(),
            valkey_url=services.settings.valkey_url.get_secret_value(),
            hooks_url=here,
            keto_read_url=keto.read_url,
            upstream_timeout="PT20S",
            decision_timeout="PT5S",
        )
        with edge_running(settings) as port:
            stage = Stage(port, double, services, new_key(services, "permissions:read"))
            double.settle = stage.settle
            yield stage
