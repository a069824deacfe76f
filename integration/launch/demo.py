"""The members to play with and the key to try the admin paths with.

Imported by the launcher at a first start only: it brings half of Kleis with it.
"""

from collections.abc import Mapping

from integration.db import api_keys
from integration.launch.demo_members import DemoMember
from integration.launch.kleis import settings_from
from integration.members import lifecycle
from integration.services import Services, make_services
from policies.authority import Role
from policies.registration import RegistrationAttempt, new_member

KEY_NAME = "embedded stack"
KEY_SCOPES = frozenset({"identities:write", "permissions:write", "roles:write", "operations:write"})


def seed(settings: Mapping[str, str], people: list[DemoMember]) -> str:
    """Create `people` where they are missing and return a new API key with every scope.

    Args:
        settings: The `KLEIS_*` environment of our processes.
    """
    services = make_services(settings_from(settings), pool_size=2)
    try:
        for person in people:
            _create(services, person)
        with services.transaction() as session:
            return api_keys.create(
                session, name=KEY_NAME, scopes=KEY_SCOPES, expires_at=None, now=services.now()
            )
    finally:
        services.close()


def _create(services: Services, person: DemoMember) -> None:
    identity = services.kratos.find(person["email"])
    if identity is None:
        identity = services.kratos.create(
            {
                "schema_id": "member",
                "state": "active",
                "traits": {"email": person["email"], "username": person["username"]},
                "credentials": {"password": {"config": {"password": person["password"]}}},
                "verifiable_addresses": [
                    {
                        "value": person["email"],
                        "verified": True,
                        "via": "email",
                        "status": "completed",
                    }
                ],
                "metadata_public": {"status": "active", "role": person["role"]},
            }
        )
    attempt = RegistrationAttempt(email=person["email"], username=person["username"])
    with services.transaction() as session:
        lifecycle.adopt(
            session,
            identity.id,
            new_member(attempt),
            Role(person["role"]),
            now=services.now(),
        )
