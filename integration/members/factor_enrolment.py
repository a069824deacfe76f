"""Whether a member has a second factor of its own: Kratos knows, our row remembers."""

from uuid import UUID

from sqlalchemy.orm import Session

from integration.db import epochs, members
from integration.services import Services


def refresh(session: Session, services: Services, identity_id: UUID) -> None:
    """Ask Kratos and remember; call it before the member's row is locked.

    Raises:
        UpstreamUnavailableError: Kratos does not answer.
    """
    identity = services.kratos.get(identity_id)
    if identity is None:
        return
    member = members.lock(session, identity_id)
    if member is not None and member.second_factor != identity.has_second_factor:
        member.second_factor = identity.has_second_factor
        epochs.move(session, identity_id)
