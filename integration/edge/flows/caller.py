"""Whose session a submit comes with."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """A person with a valid session.

    Attributes:
        authenticated_at: When the person last proved who it is; None where Kratos does not say.
        aal: `aal1`, or `aal2` after a second factor.
    """

    identity_id: UUID
    session_id: UUID | None = None
    authenticated_at: datetime | None = None
    aal: str = ""
    traits: dict[str, Any] = field(default_factory=dict)


def read_caller(identity_id: UUID, body: bytes) -> Caller:
    """Return the person of a session that Kratos shows; what cannot be read stays empty."""
    try:
        session = json.loads(body)
        return Caller(
            identity_id=identity_id,
            session_id=UUID(session["id"]),
            authenticated_at=datetime.fromisoformat(session["authenticated_at"]),
            aal=str(session["authenticator_assurance_level"]),
            traits=dict(session["identity"]["traits"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return Caller(identity_id)
