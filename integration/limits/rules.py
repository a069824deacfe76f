"""The rules an operator's settings ask for. Each kind of counter has a letter, its key's first."""

from collections.abc import Mapping
from datetime import timedelta

from integration.settings.limits import LimitSettings, read_parts
from policies.limits import Rule, Tier
from policies.shares import Share

ADDRESS = b"a"
NETWORK_V4 = b"n"
NETWORK_V6 = b"N"
PAIR = b"p"
ACCOUNT = b"c"
SECOND_FACTOR = b"s"
DEVICE = b"d"
# Wrong codes of recovery: a blocked address may still enter what it was mailed.
CODE = b"o"
MAIL = b"m"
REGISTRATION = b"r"
HASHING = b"h"
# Of a member about permissions: a share, no rule of those below.
QUESTIONS = b"q"
# Of clients on loopback, with larger numbers.
LOOPBACK = {MAIL: b"M", REGISTRATION: b"R", HASHING: b"H"}

_LOCKOUTS = {
    ADDRESS: ("address", "limit_address"),
    NETWORK_V4: ("network", "limit_network"),
    NETWORK_V6: ("network", "limit_network_v6"),
    PAIR: ("address_and_account", "limit_pair"),
    ACCOUNT: ("account", "limit_account"),
    SECOND_FACTOR: ("second_factor", "limit_second_factor"),
    DEVICE: ("device", "limit_device"),
    CODE: ("code", "limit_address"),
}
_ALLOWANCES = {
    MAIL: ("mail", "limit_mail"),
    REGISTRATION: ("registration", "limit_registration"),
    HASHING: ("hashing", "limit_hashing"),
}
PROFILES: Mapping[str, Mapping[str, str]] = {
    "seed": {
        "limit_address": "5/PT15M/PT30M",
        "limit_network": "50/PT15M/PT30M",
        "limit_network_v6": "20/PT15M/PT30M",
        "limit_pair": "8/PT12H/PT30M/PT12H",
        "limit_account": "20/PT12H/PT1M/PT15M",
        "limit_second_factor": "10/PT12H/PT1M/PT15M",
        "limit_device": "5/PT15M/PT30M",
        "limit_mail": "1/PT1M, 5/PT1H, 10/P1D",
        "limit_registration": "10/PT1H, 50/P1D",
        "limit_hashing": "60/PT1H",
    },
    "strict": {
        "limit_address": "5/PT30M/PT1H",
        "limit_network": "25/PT30M/PT1H",
        "limit_network_v6": "5/PT30M/PT1H",
        "limit_pair": "5/P1D/PT1H/P1D",
        "limit_account": "10/P1D/PT1M/PT30M",
        "limit_second_factor": "5/P1D/PT1M/PT30M",
        "limit_device": "5/PT30M/PT30M",
        "limit_mail": "1/PT1M, 3/PT1H, 5/P1D",
        "limit_registration": "5/PT1H, 20/P1D",
        "limit_hashing": "30/PT1H",
    },
}

Rules = Mapping[bytes, Rule]


def rules_of(settings: LimitSettings) -> Rules:
    """Return every rule by its letter."""
    rules = {letter: _lockout(settings, letter) for letter in _LOCKOUTS}
    rules |= {letter: _allowance(settings, letter) for letter in _ALLOWANCES}
    factor = settings.limit_loopback_factor
    return rules | {LOOPBACK[letter]: rules[letter].times(factor) for letter in _ALLOWANCES}


def questions_of(settings: LimitSettings) -> Share:
    """Return how much a member may ask about permissions."""
    number, (window,) = read_parts(settings.limit_questions)
    return Share("questions", number, window // timedelta(microseconds=1))


def _text(settings: LimitSettings, name: str) -> str:
    given: str | None = getattr(settings, name)
    return given if given is not None else PROFILES[settings.limits_profile][name]


def _lockout(settings: LimitSettings, letter: bytes) -> Rule:
    name, setting = _LOCKOUTS[letter]
    number, spans = read_parts(_text(settings, setting))
    window, block, *longest = map(_milliseconds, spans)
    pair_window = _milliseconds(read_parts(_text(settings, "limit_pair"))[1][0])
    return Rule(
        name=name,
        tiers=(Tier(number, window),),
        block=block,
        longest=max([block, *longest]),
        # The first key of a reservation remembers what was typed, and when a pair begins.
        keep=pair_window if letter in (ADDRESS, DEVICE) else 0,
        starts_late=letter == PAIR,
        forgives=letter in (PAIR, DEVICE),
    )


def _allowance(settings: LimitSettings, letter: bytes) -> Rule:
    name, setting = _ALLOWANCES[letter]
    parts = (read_parts(part.strip()) for part in _text(settings, setting).split(","))
    return Rule(name, tuple(Tier(number, _milliseconds(spans[0])) for number, spans in parts))


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
