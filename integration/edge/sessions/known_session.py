"""A valid session, and what our tables say of it and of its member."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session that Kratos calls valid, of a member who may have one.

    Attributes:
        aal: `aal1` or `aal2`, Kratos' word.
        authenticated_at: When the person last proved who it is.
        expires_at: Its end at the latest: Kratos', or its greatest age.
        methods: How the person proved who it is, in order: `password`, `totp`, ...
        hold: Why our table holds it; None: it does not.
        is_held: A second factor is needed first: it was put on hold, or the member, its role or
            its enrolled factor asks for it. Nothing else may be answered with it.
        has_second_factor: The member enrolled TOTP or look-up codes.
    """

    session_id: UUID
    identity_id: UUID
    aal: str
    authenticated_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]
    status: str
    role: str
    hold: str | None
    is_held: bool
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class ShownSession:
    """What Kratos' `whoami` shows of a session."""

    session_id: UUID
    identity_id: UUID
    aal: str
    authenticated_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]


def read_session(identity_id: str | None, body: bytes) -> ShownSession | None:
    """Return the session in an answer of `whoami`; None when it cannot be read.

    Args:
        identity_id: From the answer's header.
    """
    try:
        session = json.loads(body)
        return session_in(session, UUID(identity_id or session["identity"]["id"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def session_in(session: Mapping[str, Any], identity_id: UUID) -> ShownSession | None:
    """Return what Kratos' session object says; None when it cannot be read."""
    try:
        return ShownSession(
            session_id=UUID(session["id"]),
            identity_id=identity_id,
            aal=str(session["authenticator_assurance_level"]),
            authenticated_at=datetime.fromisoformat(session["authenticated_at"]),
            expires_at=datetime.fromisoformat(session["expires_at"]),
            methods=tuple(
                str(each.get("method")) for each in session.get("authentication_methods") or ()
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
