"""What a submit uses up: which counters it needs, and how its outcome settles them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integration.edge.flows.guards import Submit
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.limits.limiter import Ask
from integration.limits import counters, rules
from integration.limits.devices import Device
from policies.limits import Verdict, kratos_identifier, passes_blocks

_CODES = ("code", "totp_code", "lookup_secret")
_ADDRESSES = ("email", "pending_email")
_SECRETS = ("password", *_CODES)


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a submit uses up.

    Attributes:
        typed: The secret, where typing it again is not to count again.
    """

    ask: Ask
    verdict: Callable[[SubmitOutcome], Verdict]
    typed: str = ""
    is_attempt: bool = False


def needs_account(submit: Submit) -> bool:
    """Tell whether it matters whose account a submit is about."""
    return (
        (submit.flow == "login" and _is_attempt(submit))
        or _asks_for_mail(submit)
        or bool(_addresses_in(submit))
    )


def names_nobody(submit: Submit) -> bool:
    """Tell whether only the session says whose account it is: a second factor, settings."""
    return submit.flow == "settings" or (submit.flow == "login" and submit.identifier is None)


def claims_of(submit: Submit, account: bytes | None, device: Device | None) -> list[Claim]:
    """Return what a submit uses up, in the order of asking."""
    claims: list[Claim] = []
    if _is_attempt(submit):
        claims.append(_attempt(submit, account, device))
    if _asks_for_mail(submit):
        claims.append(_mail(submit, account))
    if submit.flow in ("registration", "settings") and _text(submit.fields, "password"):
        claims.append(Claim(_by_address(submit, rules.HASHING), _costs_a_hash))
        if submit.flow == "registration":
            claims.append(Claim(_by_address(submit, rules.REGISTRATION), _is_done))
    return claims


def _is_attempt(submit: Submit) -> bool:
    if submit.flow == "login":
        return any(_text(submit.fields, name) for name in _SECRETS)
    # A verification code lets nobody in. Kratos takes five a flow, and a flow's mail is limited:
    # whoever enters an old one, or one twice, is not to be kept out for it.
    return submit.flow == "recovery" and bool(_text(submit.fields, "code"))


def _asks_for_mail(submit: Submit) -> bool:
    """Tell whether Kratos may send a code.

    Of a code and an address together, recovery takes the address, verification the code.
    Source: v1.3.1, `selfservice/strategy/code/strategy_{recovery,verification}.go`.
    """
    fields = submit.fields
    if submit.flow == "settings":
        return _has_new_address(submit)
    if submit.flow == "recovery":
        return bool(_text(fields, "email"))
    if submit.flow == "verification":
        return bool(_text(fields, "email")) and not _text(fields, "code")
    if submit.flow != "login" or submit.method != "code":
        return False
    return bool(_text(fields, "resend")) or not _text(fields, "code")


def _has_new_address(submit: Submit) -> bool:
    """Tell whether settings name an address that the caller does not have: it gets a code."""
    if submit.caller is None:
        # Kratos refuses without a session; nobody is mailed.
        return False
    has = {_plain(submit.caller.traits.get(name)) for name in _ADDRESSES}
    return any(address not in has for address in _addresses_in(submit))


def _addresses_in(submit: Submit) -> list[str]:
    """Return the addresses that settings name, as Kratos compares them."""
    if submit.flow != "settings":
        return []
    traits = submit.fields.get("traits")
    nested = traits if isinstance(traits, dict) else {}
    given = [nested.get(name) or submit.fields.get(f"traits.{name}") for name in _ADDRESSES]
    return [plain for each in given if (plain := _plain(each))]


def _plain(address: object) -> str:
    return kratos_identifier(address) if isinstance(address, str) else ""


def _attempt(submit: Submit, account: bytes | None, device: Device | None) -> Claim:
    address = submit.request.client_address
    if submit.flow != "login":
        ask = Ask((counters.of_address(rules.CODE, address),))
        return Claim(ask, _attempted, is_attempt=True)
    origin = (
        counters.of_address(rules.ADDRESS, address),
        counters.of_network(address),
    )
    if account is None:
        return Claim(Ask(origin), _attempted, is_attempt=True)
    has_code = any(_text(submit.fields, name) for name in _CODES)
    is_second = names_nobody(submit) and has_code
    # Who is at the second factor knows the password: guesses of passwords are none of theirs.
    shared = rules.SECOND_FACTOR if is_second else rules.ACCOUNT
    of_account = counters.of_account(shared, account)
    always = (of_account,) if is_second else ()
    # A code is another guess each time it is typed: the right one changes. And a password beside
    # it must not make guesses at codes look like one.
    typed = "" if has_code else _text(submit.fields, "password")
    if device is not None and passes_blocks(account, device.accounts):
        own = (counters.of_device(device.id, account), *always)
        return Claim(Ask(own), _attempted, typed, is_attempt=True)
    ask = Ask(
        keys=(*origin, counters.of_pair(address, account), of_account),
        passing=counters.of_pass(address, account),
        instead=(counters.of_device(counters.parse(address).packed, account), *always),
    )
    return Claim(ask, _attempted, typed, is_attempt=True)


def _mail(submit: Submit, account: bytes | None) -> Claim:
    ask = _by_address(submit, rules.MAIL)
    if account is None:
        return Claim(ask, _is_sent)
    letter = ask.keys[0][counters.LETTER : counters.LETTER + 1]
    return Claim(Ask((*ask.keys, counters.of_account(letter, account))), _is_sent)


def _by_address(submit: Submit, letter: bytes) -> Ask:
    address = submit.request.client_address
    if counters.parse(address).is_loopback:
        letter = rules.LOOPBACK[letter]
    return Ask((counters.of_address(letter, address),))


def _text(fields: Any, name: str) -> str:
    """Return what a field says; a number counts as its digits, as Kratos may read it."""
    value = fields.get(name)
    return str(value) if isinstance(value, str | int | float) and value != "" else ""


def _attempted(ended: SubmitOutcome) -> Verdict:
    if ended.outcome.is_credential_failure:
        return Verdict.COUNTS
    return Verdict.FORGIVES if ended.outcome.had_right_credentials else Verdict.FREE


def _is_sent(ended: SubmitOutcome) -> Verdict:
    unsent = (
        Outcome.CSRF,
        Outcome.FLOW_EXPIRED,
        Outcome.LIMITED,
        Outcome.REFUSED,
        Outcome.UPSTREAM_ERROR,
        Outcome.VALIDATION,
    )
    return Verdict.FREE if ended.outcome in unsent else Verdict.COUNTS


def _costs_a_hash(ended: SubmitOutcome) -> Verdict:
    unhashed = (Outcome.CSRF, Outcome.FLOW_EXPIRED, Outcome.LIMITED)
    return Verdict.FREE if ended.outcome in unhashed else Verdict.COUNTS


def _is_done(ended: SubmitOutcome) -> Verdict:
    return Verdict.COUNTS if ended.outcome is Outcome.SUCCESS else Verdict.FREE
