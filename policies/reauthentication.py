"""What needs a member to have proven lately who it is."""

from datetime import datetime, timedelta

from policies.decisions import Allow, Decision, Deny, Reason

# `selfservice.flows.settings.privileged_session_max_age` in kratos/kratos.yml.
PRIVILEGED_FOR = timedelta(minutes=15)

_TOO_OLD = Deny(
    (Reason("session_refresh_required", "Please log in again to confirm that it is you."),)
)


def decide_privileged(authenticated_at: datetime | None, now: datetime) -> Decision:
    """Decide whether a session may do what is privileged: password, e-mail, second factors.

    Args:
        authenticated_at: When its member last proved who it is; None where nobody knows.
    """
    if authenticated_at is None or now - authenticated_at > PRIVILEGED_FOR:
        return _TOO_OLD
    return Allow()
