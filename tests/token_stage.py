"""Members with sessions and tokens, made as the service makes them, without a login."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

from integration.members import lifecycle
from integration.ory.kratos_models import AuthenticationMethod, Identity, KratosSession
from integration.services import Services
from integration.tokens import issuing
from integration.tokens.clients import Client
from integration.tokens.issuing import Tokens
from integration.tokens.key_ring import KeyRing
from policies.authority import Role
from policies.registration import RegistrationAttempt
from policies.registration import new_member as new_row

OWNER = "Owner/1.0"
THIEF = "Thief/1.0"


@dataclass(frozen=True)
class Somebody:
    """A member with one session and its tokens."""

    identity_id: UUID
    session_id: UUID
    tokens: Tokens

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.access_token}"}


def ring_of(services: Services) -> KeyRing:
    return KeyRing(services.settings, services.transaction, services.now)


def bounded_sessions(services: Services, **more: object) -> Services:
    """Return services in which every bound that a session can have is there."""
    changes = {
        "session_max_age": timedelta(days=30),
        "session_idle_timeout": timedelta(hours=1),
        "second_factor_roles": frozenset({"admin"}),
    }
    return replace(services, settings=services.settings.model_copy(update=changes | more))


def new_member(services: Services, role: Role = Role.USER) -> UUID:
    identity_id = uuid4()
    name = f"ada-{identity_id.hex[:8]}"
    new = new_row(RegistrationAttempt(email=f"{name}@example.test", username=name))
    with services.transaction() as session:
        lifecycle.adopt(session, identity_id, new, role, now=services.now())
    return identity_id


def kratos_session(services: Services, identity_id: UUID, **changes: object) -> KratosSession:
    """A session as Kratos shows it, begun now."""
    now = services.now()
    values: dict[str, object] = {
        "id": uuid4(),
        "identity": Identity(id=identity_id, traits={}, created_at=now),
        "authenticated_at": now,
        "expires_at": now + timedelta(days=7),
        "authentication_methods": [AuthenticationMethod(method="password")],
    }
    return KratosSession.model_validate(values | changes)


def tokens_of(
    services: Services,
    ring: KeyRing,
    seen: KratosSession,
    *,
    client: Client | None = None,
    application: str = "kleis",
) -> Tokens:
    return issuing.begin_family(
        services,
        ring.signer(),
        seen,
        client or Client("192.0.2.1", OWNER),
        application=application,
    )


def somebody(services: Services, ring: KeyRing, role: Role = Role.USER) -> Somebody:
    identity_id = new_member(services, role)
    seen = kratos_session(services, identity_id)
    return Somebody(identity_id, seen.id, tokens_of(services, ring, seen))
