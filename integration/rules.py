"""The operator's choices, as policies want them."""

from functools import cache

from disposable_email_domains import blocklist

from integration.settings import Settings
from policies.registration import RegistrationRules


@cache
def _disposable_domains() -> frozenset[str]:
    return frozenset(blocklist)


def registration_rules(settings: Settings) -> RegistrationRules:
    """Return who may register, by settings and the maintained list of throw-away domains."""
    return RegistrationRules(
        blocked_emails=settings.blocked_emails,
        blocked_email_domains=settings.blocked_email_domains,
        disposable_email_domains=(
            frozenset() if settings.allow_disposable_email else _disposable_domains()
        ),
        reserved_usernames=settings.reserved_usernames,
    )
