"""429, in words and in header fields."""

from collections.abc import Mapping

from integration.edge.limits.limiter import Refused
from integration.edge.problems import Refusal
from integration.limits import counters, rules
from integration.limits.header_fields import fields_of
from integration.limits.rules import Rules
from policies.limits import BUSY_WAIT
from policies.shares import Share

_SENDING = frozenset({rules.MAIL, rules.REGISTRATION, rules.HASHING, *rules.LOOPBACK.values()})


def refusal_of(refused: Refused, limits: Rules) -> Refusal:
    """Return the answer to whoever has to wait."""
    letter = counters.letter_of(refused.key)
    rule = limits[letter]
    seconds = max(1, -(-refused.wait // 1000))
    code = "too_many_requests" if letter in _SENDING else "too_many_attempts"
    sentence = _sentence(letter, seconds, is_busy=refused.wait == BUSY_WAIT)
    quotas = ((tier.limit, tier.window // 1000) for tier in rule.tiers)
    return _refusal(code, sentence, fields_of(rule.name, quotas, seconds))


def share_refusal(share: Share, wait: int) -> Refusal:
    """Return the answer to whoever has used up a share; `wait` in microseconds."""
    seconds = max(1, -(-wait // 1_000_000))
    quota = (share.most, max(1, share.window // 1_000_000))
    sentence = f"That was too often. Try again in {seconds} seconds."
    return _refusal("too_many_requests", sentence, fields_of(share.name, [quota], seconds))


def _refusal(code: str, sentence: str, fields: Mapping[str, str]) -> Refusal:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in fields.items())
    return Refusal(status=429, code=code, sentence=sentence, headers=headers)


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
