"""Who may log in, and who may recover."""

import pytest

from policies.decisions import Allow, Deny
from policies.lifecycle import Status, may_have_session
from policies.login import decide_login, decide_recovery

CODES = {
    None: "account_not_ready",
    Status.PENDING_REGISTRATION: "email_not_verified",
    Status.PENDING_VERIFICATION: "email_not_verified",
    Status.EXPIRED: "email_not_verified",
    Status.PROVISIONAL: "profile_incomplete",
    Status.SUSPENDED: "account_suspended",
    Status.BANNED: "account_banned",
    Status.DEACTIVATED: "account_deactivated",
    Status.DELETED: "account_deleted",
}


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_everybody_but_the_active_is_told_why_not(status: Status | None, code: str) -> None:
    decision = decide_login(status)

    assert isinstance(decision, Deny)
    (reason,) = decision.reasons
    assert reason.code == code
    assert reason.text.endswith(".")
    assert reason.pointer is None


@pytest.mark.parametrize("status", [None, *Status])
def test_who_may_log_in_is_who_may_have_a_session(status: Status | None) -> None:
    assert isinstance(decide_login(status), Allow) is may_have_session(status)


def test_the_unverified_learn_where_to_get_a_new_code() -> None:
    decision = decide_login(Status.EXPIRED)

    assert isinstance(decision, Deny)
    assert "verification page" in decision.reasons[0].text
    assert "new code" in decision.reasons[0].text


@pytest.mark.parametrize(
    "status",
    [
        Status.PENDING_REGISTRATION,
        Status.PENDING_VERIFICATION,
        Status.EXPIRED,
        Status.PROVISIONAL,
        Status.ACTIVE,
    ],
)
def test_recovery_is_open_to_those_it_would_verify(status: Status) -> None:
    assert decide_recovery(status) == Allow()


@pytest.mark.parametrize(
    "status", [None, Status.SUSPENDED, Status.BANNED, Status.DEACTIVATED, Status.DELETED]
)
def test_recovery_is_no_way_round_a_refused_login(status: Status | None) -> None:
    assert decide_recovery(status) == decide_login(status)
