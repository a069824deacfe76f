"""Who may log in, and who may recover an account.

Asked after Kratos has checked the credentials, so that the texts tell nothing to strangers.
"""

from policies.decisions import Allow, Decision, Deny, Reason
from policies.lifecycle import Status

_NOT_VERIFIED = Reason(
    "email_not_verified",
    "Please verify your e-mail address first: enter the code from our mail on the verification "
    "page, where you can also ask for a new code.",
)
_PROFILE_INCOMPLETE = Reason(
    "profile_incomplete", "Please complete your profile before you log in."
)
_SUSPENDED = Reason("account_suspended", "This account is suspended.")
_BANNED = Reason("account_banned", "This account is banned.")
_DEACTIVATED = Reason("account_deactivated", "This account is deactivated.")
# The same words for what is gone and for what is odd: there is nothing to do about either.
_DELETED = Reason("account_deleted", "This account cannot be used.")
_NOT_READY = Reason(
    "account_not_ready", "Your account is still being set up. Please try again in a minute."
)

_LOGIN_REFUSALS: dict[Status | None, Reason] = {
    None: _NOT_READY,
    Status.PENDING_REGISTRATION: _NOT_VERIFIED,
    Status.PENDING_VERIFICATION: _NOT_VERIFIED,
    Status.EXPIRED: _NOT_VERIFIED,
    Status.PROVISIONAL: _PROFILE_INCOMPLETE,
    Status.SUSPENDED: _SUSPENDED,
    Status.BANNED: _BANNED,
    Status.DEACTIVATED: _DEACTIVATED,
    Status.DELETED: _DELETED,
}

# Recovery proves the address, so that it is open to those who have not verified it yet.
_MAY_RECOVER = frozenset(
    {
        Status.PENDING_REGISTRATION,
        Status.PENDING_VERIFICATION,
        Status.EXPIRED,
        Status.PROVISIONAL,
        Status.ACTIVE,
    }
)


def decide_login(status: Status | None, *, is_forgetting: bool = False) -> Decision:
    """Decide whether a member in this state may have a session; None has no row with us yet.

    Args:
        is_forgetting: Its credentials are about to stop working.

    Returns:
        Allow for the active alone; else a denial with one of the codes `email_not_verified`,
        `profile_incomplete`, `account_suspended`, `account_banned`, `account_deactivated`,
        `account_deleted` and `account_not_ready`.
    """
    if status is Status.ACTIVE:
        return Deny((_NOT_READY,)) if is_forgetting else Allow()
    return Deny((_LOGIN_REFUSALS[status],))


def decide_settings(status: Status | None) -> Decision:
    """Decide whether a session that is still there may change the account."""
    return decide_recovery(status)


def decide_recovery(status: Status | None) -> Decision:
    """Decide whether a completed recovery may go on, with the codes of `decide_login`."""
    if status in _MAY_RECOVER:
        return Allow()
    return Deny((_LOGIN_REFUSALS[status],))
