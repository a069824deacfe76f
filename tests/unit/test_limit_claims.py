"""What a submit uses up, before anybody is asked."""

from uuid import UUID

import pytest

from integration.edge.bodies import RequestBody
from integration.edge.flows.caller import Caller
from integration.edge.flows.guards import Submit
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.limits.claims import claims_of, names_nobody, needs_account
from integration.edge.requests import Request
from integration.limits import counters, rules
from integration.limits.devices import Device
from policies.limits import Verdict

FLOW = UUID("3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11")
ADA, EVE = b"ada-ada-", b"eve-eve-"
OWN = Device(b"d" * 16, (ADA,))


async def nothing() -> dict:
    return {"type": "http.disconnect"}


def submit(flow: str, *, address: str = "203.0.113.9", **fields) -> Submit:
    body = RequestBody(nothing, [], max_bytes=1)
    path = f"/self-service/{flow}"
    return Submit.of(Request("POST", path, f"flow={FLOW}", [], address, "id", body), fields)


def letters(claims) -> list[str]:
    return ["".join(counters.letter_of(key).decode() for key in c.ask.keys) for c in claims]


PASSWORD = {"method": "password", "identifier": "ada", "password": "Wrong-1"}
TOTP = {"method": "totp", "totp_code": "123456"}


@pytest.mark.parametrize(
    ("flow", "fields", "account", "device", "uses"),
    [
        ("login", PASSWORD, ADA, None, ["anpc"]),
        ("login", PASSWORD, None, None, ["an"]),
        ("login", PASSWORD, ADA, OWN, ["d"]),
        ("login", PASSWORD, EVE, OWN, ["anpc"]),
        ("login", TOTP, ADA, None, ["anps"]),
        ("login", TOTP, ADA, OWN, ["ds"]),
        # No other method than the named one may carry a guess past the counters.
        ("login", {"method": "oidc", "totp_code": "123456"}, ADA, None, ["anps"]),
        ("login", {"method": "oidc", "provider": "demo"}, None, None, []),
        ("login", {"method": "code"}, ADA, None, ["mm"]),
        ("login", {"method": "code", "code": "1", "resend": "code"}, ADA, None, ["anps", "mm"]),
        ("recovery", {"method": "code", "email": "a@b.test"}, ADA, None, ["mm"]),
        ("recovery", {"method": "code", "code": "123456"}, None, None, ["o"]),
        ("recovery", {"code": "123456", "email": "a@b.test"}, ADA, None, ["o", "mm"]),
        ("verification", {"code": "123456", "email": "a@b.test"}, ADA, None, []),
        ("verification", {"email": "a@b.test"}, ADA, None, ["mm"]),
        ("registration", {"password": "x"}, None, None, ["h", "r"]),
        ("registration", {"method": "profile"}, None, None, []),
        ("settings", {"method": "password", "password": "x"}, None, None, ["h"]),
        ("settings", {"method": "profile"}, None, None, []),
    ],
)
def test_a_submit_uses_up(flow, fields, account, device, uses):
    assert letters(claims_of(submit(flow, **fields), account, device)) == uses


@pytest.mark.parametrize(
    ("fields", "uses"),
    [
        ({"traits": {"email": "ada@b.test", "username": "other"}}, []),
        ({"traits": {"email": " ADA@B.test"}}, []),
        ({"traits": {"email": "ada@b.test", "pending_email": ""}}, []),
        ({"traits": {"email": "ada@b.test", "pending_email": "waiting@b.test"}}, []),
        ({"traits": {"email": "ada@b.test", "pending_email": "new@b.test"}}, ["mm"]),
        ({"traits": {"email": "new@b.test"}}, ["mm"]),
        ({"traits.email": "new@b.test"}, ["mm"]),
        ({"traits.email": "ada@b.test", "traits.pending_email": "new@b.test"}, ["mm"]),
        # Whatever the method is called: Kratos is the one to choose by it.
        ({"method": "totp", "traits.email": "new@b.test"}, ["mm"]),
        ({"method": "password", "password": "x", "traits.email": "new@b.test"}, ["mm", "h"]),
    ],
)
def test_settings_that_name_a_new_address_use_up_a_mail(fields, uses):
    change = submit("settings", **{"method": "profile", **fields})
    traits = {"email": "Ada@b.test", "pending_email": "waiting@b.test", "username": "ada"}
    change.caller = Caller(FLOW, traits=traits)
    assert needs_account(change)
    assert names_nobody(change)
    assert letters(claims_of(change, ADA, None)) == uses


def test_settings_without_a_session_mail_nobody():
    change = submit("settings", method="profile", traits={"email": "new@b.test"})
    assert claims_of(change, None, None) == []


def test_clients_on_loopback_have_mails_and_registrations_of_their_own():
    assert letters(claims_of(submit("registration", address="::1", password="x"), None, None)) == [
        "H",
        "R",
    ]
    mails = claims_of(submit("recovery", address="127.0.0.1", email="a@b.test"), ADA, None)
    assert letters(mails) == ["MM"]
    assert letters(claims_of(submit("login", address="127.0.0.1", **PASSWORD), ADA, None)) == [
        "anpc"
    ]


def test_only_a_password_alone_can_be_the_same_guess_again():
    [claim] = claims_of(submit("login", **PASSWORD), ADA, None)
    assert claim.typed == "Wrong-1"
    # Else a constant password beside it would make a thousand codes look like one guess.
    [claim] = claims_of(submit("login", **TOTP, password="constant"), ADA, None)
    assert claim.typed == ""


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.WRONG_CREDENTIALS, Verdict.COUNTS),
        (Outcome.WRONG_CODE, Verdict.COUNTS),
        (Outcome.SUCCESS, Verdict.FORGIVES),
        (Outcome.DISABLED, Verdict.FORGIVES),
        (Outcome.UNVERIFIED, Verdict.FORGIVES),
        (Outcome.REFUSED, Verdict.FREE),
        (Outcome.FLOW_EXPIRED, Verdict.FREE),
        (Outcome.CSRF, Verdict.FREE),
        (Outcome.VALIDATION, Verdict.FREE),
        (Outcome.HOOK_FAILED, Verdict.FREE),
        (Outcome.UPSTREAM_ERROR, Verdict.FREE),
        (Outcome.LIMITED, Verdict.FREE),
        (Outcome.NEXT_STEP, Verdict.FREE),
    ],
)
def test_only_real_credential_failures_count(outcome, verdict):
    [claim] = claims_of(submit("login", **PASSWORD), ADA, None)
    assert claim.verdict(SubmitOutcome(outcome, "password")) is verdict


def test_success_forgives_the_pair_and_the_device_and_never_the_address():
    limits = rules.rules_of(rules.LimitSettings())
    forgiving = {letter for letter, rule in limits.items() if rule.forgives}
    assert forgiving == {rules.PAIR, rules.DEVICE}
