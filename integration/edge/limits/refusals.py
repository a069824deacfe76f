"""429, in words and in header fields.

`RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers; `Retry-After` as in
RFC 9110, section 10.2.3: whole seconds, rounded up.
"""

from integration.edge.limits.limiter import Refused
from integration.edge.problems import Refusal
from integration.limits import counters, rules
from integration.limits.rules import Rules
from policies.limits import BUSY_WAIT, Rule
from policies.shares import Share

_SENDING = frozenset({rules.MAIL, rules.REGISTRATION, rules.HASHING, *rules.LOOPBACK.values()})


def refusal_of(refused: Refused, limits: Rules) -> Refusal:
    """Return the answer to whoever has to wait."""
    letter = counters.letter_of(refused.key)
    rule = limits[letter]
    seconds = max(1, -(-refused.wait // 1000))
    return Refusal(
        status=429,
        code="too_many_requests" if letter in _SENDING else "too_many_attempts",
        sentence=_sentence(letter, seconds, is_busy=refused.wait == BUSY_WAIT),
        headers=(
            (b"retry-after", str(seconds).encode()),
            (b"ratelimit-policy", _policy(rule).encode()),
            (b"ratelimit", f'"{rule.name}";r=0;t={seconds}'.encode()),
        ),
    )


def share_refusal(share: Share, wait: int) -> Refusal:
    """Return the answer to whoever has used up a share; `wait` in microseconds."""
    seconds = max(1, -(-wait // 1_000_000))
    window = max(1, share.window // 1_000_000)
    return Refusal(
        status=429,
        code="too_many_requests",
        sentence=f"That was too often. Try again in {seconds} seconds.",
        headers=(
            (b"retry-after", str(seconds).encode()),
            (b"ratelimit-policy", f'"{share.name}";q={share.most};w={window}'.encode()),
            (b"ratelimit", f'"{share.name}";r=0;t={seconds}'.encode()),
        ),
    )


def _policy(rule: Rule) -> str:
    return ", ".join(f'"{rule.name}";q={tier.limit};w={tier.window // 1000}' for tier in rule.tiers)


def _sentence(letter: bytes, seconds: int, *, is_busy: bool) -> str:
    if is_busy:
        return "Too many attempts are under way. Try again in a moment."
    wait = f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
    if letter in _SENDING:
        return f"That was too often. Try again in {wait}."
    return (
        f"Too many failed attempts. Try again in {wait}, or get back into the account with a "
        "code by mail."
    )
