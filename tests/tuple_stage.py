"""The real edge in front of a real Keto, with the real hooks listener for what is ours."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from sqlalchemy import text

from integration.authority import catalogue, grants
from integration.authority.admins import THE_OPERATOR
from integration.authority.grants import Rules
from integration.db import api_keys, epochs
from integration.db import members as member_rows
from integration.members import lifecycle
from integration.service import make_hooks
from integration.services import Services, make_services
from integration.settings import Settings
from integration.tasks.deliver import deliver
from policies.authority import Role
from policies.grants import Wish
from policies.registration import RegistrationAttempt, new_member
from tests.edge_stage import edge_running, free_port
from tests.keto.server import KetoServer
from tests.service.conftest import CLOSED, HOOK_SECRET
from tests.settling import settle

PATH = "/admin/relation-tuples"
ALL = ("permissions:write", "roles:write")


@dataclass
class Stage:
    """An edge, and what stands behind it."""

    services: Services
    keto: Any
    edge: httpx.Client
    without_roles: httpx.Client

    def put(self, item: dict[str, Any], **more: Any) -> httpx.Response:
        return self.edge.put(PATH, json=item, **more)

    def patch(self, *operations: tuple[str, dict[str, Any]], **more: Any) -> httpx.Response:
        body = [{"action": action, "relation_tuple": item} for action, item in operations]
        return self.edge.patch(PATH, json=body, **more)

    def delete(self, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        named = {name.replace("subject_set_", "subject_set."): v for name, v in query.items()}
        return self.edge.delete(PATH, params=named, headers=headers)

    def new_member(self, role: Role = Role.USER) -> str:
        """Return the id of somebody active."""
        identity_id, name = uuid4(), f"ada-{secrets.token_hex(6)}"
        attempt = RegistrationAttempt(email=f"{name}@example.test", username=name)
        with self.services.transaction() as session:
            lifecycle.adopt(
                session, identity_id, new_member(attempt), role, now=self.services.now()
            )
        return str(identity_id)

    def relations_of(self, subject_id: str) -> set[str]:
        found = self.keto.listed(namespace="Platform", object="main", subject_id=subject_id)
        return {each["relation"] for each in found}

    def role_of(self, subject_id: str) -> str:
        with self.services.transaction() as session:
            member = member_rows.get(session, UUID(subject_id))
            assert member is not None
            return member.role

    def epoch(self, subject_id: UUID) -> int:
        with self.services.transaction() as session:
            return epochs.current(session, subject_id)

    def audit(self) -> list[Any]:
        with self.services.transaction() as session:
            statement = "select * from tuple_writes order by at"
            return list(session.execute(text(statement)).mappings())


@contextmanager
def hooks_running(services: Services, port: int) -> Iterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(make_hooks(services), host="127.0.0.1", port=port, log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def client(services: Services, port: int, *scopes: str) -> Iterator[httpx.Client]:
    with services.transaction() as session:
        token = api_keys.create(
            session,
            name="test",
            scopes=frozenset(scopes),
            expires_at=None,
            now=services.now(),
        )
    headers = {"Authorization": f"Bearer {token}"}
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False) as made:
        yield made


def channel_owner(name: str | None = None, subject_id: str | None = None) -> dict[str, Any]:
    return {
        "namespace": "Channel",
        "object": name or uuid4().hex,
        "relation": "owners",
        "subject_id": subject_id or str(uuid4()),
    }


def edge_of(namespace, name, relation, other, parent, *, of=""):
    return {
        "namespace": namespace,
        "object": name,
        "relation": relation,
        "subject_set": {"namespace": other, "object": parent, "relation": of},
    }


def within(below: str, above: str) -> dict[str, Any]:
    return edge_of("Channel", below, "within", "Channel", above)


def role_of(subject_id: str, relation: str) -> dict[str, Any]:
    return {
        "namespace": "Platform",
        "object": "main",
        "relation": relation,
        "subject_id": subject_id,
    }


def listed(stage: Stage, item: dict[str, Any]) -> list[dict[str, Any]]:
    return stage.keto.listed(namespace=item["namespace"], object=item["object"])


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", body
    assert body["error"]["code"] == answer.status_code
    return body["type"].removeprefix("urn:kleis:problem:")


@contextmanager
def stage_running(
    keto: KetoServer, database_url: str, valkey_url: str, *, has_worker: bool = True
) -> Iterator[Stage]:
    """Start an edge and the hooks behind it; effects of role changes are delivered at once.

    Args:
        has_worker: False: no effect is delivered, as long as nobody settles.
    """
    port = free_port()
    settings = Settings(
        database_url=database_url,
        valkey_url=valkey_url,
        hook_secret=HOOK_SECRET,
        secret="a-secret-for-tests-alone",
        kratos_public_url=CLOSED,
        kratos_admin_url=CLOSED,
        keto_read_url=keto.read_url,
        keto_write_url=keto.write_url,
        hooks_url=f"http://127.0.0.1:{port}/",
        service_url=CLOSED,
        # Writers wait for each other, on a busy machine for longer than usual.
        database_timeout=timedelta(seconds=20),
        decision_timeout=timedelta(seconds=10),
        embedded=True,
    )
    made = make_services(settings, pool_size=4)

    def bring_about(ids) -> None:
        for effect_id in ids if has_worker else ():
            deliver(services, effect_id)

    services = replace(made, ring=bring_about)
    with (
        hooks_running(services, port),
        edge_running(settings) as edge_port,
        client(services, edge_port, *ALL) as full,
        client(services, edge_port, "permissions:write") as less,
    ):
        yield Stage(services, keto, full, less)
    made.close()


@contextmanager
def another_edge(stage: Stage, **changes: object) -> Iterator[httpx.Client]:
    """Another edge of a stage, with other settings, and a key that may write."""
    settings = stage.services.settings.model_copy(update=changes)
    with (
        edge_running(settings) as port,
        client(stage.services, port, "permissions:write") as made,
    ):
        yield made


def over_in_keto(stage: Stage, count: int, permission: str) -> list[str]:
    """Return members whose grants are over and still in Keto; nobody has noticed yet."""
    catalogue.sync(stage.services)
    members = [stage.new_member() for _ in range(count)]
    for member in members:
        with stage.services.transaction() as session:
            now = datetime.now(UTC)
            wish = Wish(permission, now + timedelta(hours=1), "incident 7")
            grants.grant(session, THE_OPERATOR, UUID(member), wish, rules=Rules(), now=now)
        settle(stage.services, UUID(member))
        assert granted(stage, member)
    # However long that took, none was over before it was in Keto.
    with stage.services.transaction() as session:
        statement = "update permission_grants set expires_at = now() where subject_id = any(:ids)"
        session.execute(text(statement), {"ids": [UUID(member) for member in members]})
    return members


def granted(stage: Stage, member: str) -> list[dict[str, Any]]:
    """Return the tuples of a member's grants, as Keto has them."""
    return stage.keto.listed(namespace="Permission", relation="granted", subject_id=member)
