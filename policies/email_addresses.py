"""Which e-mail addresses may open an account."""

import re
from collections.abc import Iterator

from policies.decisions import Reason

MAX_LENGTH = 255

_POINTER = "#/traits/email"
# Source: RFC 5321, 4.5.3.1 and RFC 5322, 3.2.3 (dot-atom). Narrower than both on purpose: no
# quotes, no comments, no address literals, and ASCII only, for Kratos' `format: email` takes no
# other host names either, and two addresses that differ must not look the same.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 253


def refuse_email(
    email: str,
    *,
    blocked: frozenset[str] = frozenset(),
    blocked_domains: frozenset[str] = frozenset(),
    disposable_domains: frozenset[str] = frozenset(),
) -> Reason | None:
    """Tell why this address cannot be used, or None when it can.

    Args:
        blocked: Whole addresses; case and `+tag` do not matter.
        blocked_domains: Lower-case domains, each with all below it.
        disposable_domains: Lower-case domains of throw-away mail services, each with all below
            it.

    Returns:
        A reason with one of the codes `email_too_long` (over 255 characters), `email_format`,
        `email_blocked`, `email_domain_blocked`, `email_disposable`.
    """
    if len(email) > MAX_LENGTH:
        return _reason("email_too_long", "Use an e-mail address of at most 255 characters.")
    if not is_email(email):
        return _reason("email_format", "Enter an e-mail address like name@example.com.")
    if canonical_address(email) in {canonical_address(address) for address in blocked}:
        return _reason("email_blocked", "This e-mail address cannot be used here.")
    domains = frozenset(_domain_and_parents(email))
    if domains & blocked_domains:
        return _reason("email_domain_blocked", "Addresses of this mail domain cannot be used here.")
    if domains & disposable_domains:
        return _reason(
            "email_disposable", "Use a lasting e-mail address, not one of a throw-away service."
        )
    return None


def is_email(text: str) -> bool:
    """Tell whether `text` is one plain address at a domain with at least two labels.

    Spaces, control characters and whatever is not ASCII make it none.
    """
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        at == "@"
        and len(local) <= _LONGEST_LOCAL
        and _LOCAL.fullmatch(local) is not None
        and len(domain) <= _LONGEST_DOMAIN
        and len(labels) > 1
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


def canonical_address(email: str) -> str:
    """Give what addresses of one mailbox usually share: lower case, without `+tag`."""
    local, at, domain = email.lower().rpartition("@")
    mailbox = local.partition("+")[0]
    return f"{mailbox or local}{at}{domain}"


def _domain_and_parents(email: str) -> Iterator[str]:
    domain = email.lower().rpartition("@")[2]
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _reason(code: str, text: str) -> Reason:
    return Reason(code, text, _POINTER)
