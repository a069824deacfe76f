"""Kratos' identity of one member, made to match what the member is."""

from uuid import UUID

from integration.db import members
from integration.errors import UpstreamUnavailableError
from integration.ory.kratos_models import Identity
from integration.services import Services
from policies.lifecycle import Status, is_enabled_in_kratos


def sync(services: Services, identity_id: UUID, *, enable: bool) -> None:
    """Tell Kratos state and metadata, and read them back. The caller holds the lock.

    Args:
        enable: Enable an identity that is disabled; else it stays disabled.
    """
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None or member.status == Status.DELETED:
            return
        status, role = Status(member.status), member.role
    current = services.kratos.get(identity_id)
    if current is None:
        return
    enabled = is_enabled_in_kratos(status) and (enable or current.is_enabled())
    write(services, current, enabled=enabled, status=status, role=role)


def write(services: Services, current: Identity, *, enabled: bool, status: str, role: str) -> None:
    """Write what differs, and look whether it stayed. The caller holds the lock.

    A password login may re-hash and save the identity it read before our write, which undoes
    the write; hence the look afterwards.

    Raises:
        UpstreamUnavailableError: another writer undid it; worth trying again.
    """
    metadata = {**(current.metadata_public or {}), "status": str(status), "role": str(role)}
    if (current.is_enabled(), current.metadata_public) == (enabled, metadata):
        return
    services.kratos.put_state(current.id, enabled=enabled, metadata_public=metadata)
    written = services.kratos.get(current.id)
    if written is not None and written.is_enabled() != enabled:
        raise UpstreamUnavailableError("Another writer changed the identity meanwhile.")


def delete(services: Services, identity_id: UUID) -> None:
    """Delete the identity of a deleted member; of nobody else. The caller holds the lock."""
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None or member.status != Status.DELETED:
            return
    services.kratos.delete(identity_id)
