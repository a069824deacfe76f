"""How far a workflow got."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.flows.oauth_progress import oauth_steps
from integration.edge.flows.submit_outcomes import Outcome
from policies.progress import (
    LOGIN_STEPS,
    REGISTRATION_STEPS,
    Kind,
    Step,
    Steps,
    StepState,
    failed_registration_step,
    login_failed,
    login_succeeded,
    login_waiting,
    registration_recorded,
    registration_refused,
    started,
    state_of,
    step_without_oracle,
    verification_expired,
    verification_resent,
    verified,
    without_oracle,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def states(steps: Steps) -> dict[str, str]:
    return {step.name: str(step.state) for step in steps}


@pytest.mark.parametrize(
    ("kind", "first", "last", "count"),
    [
        (Kind.REGISTRATION, "validation", "profile_setup", 6),
        (Kind.LOGIN, "rate_limiting", "session_creation", 7),
        (Kind.OAUTH, "state_validation", "session_creation", 6),
        (Kind.PROFILE, "authorization", "search_sync", 6),
    ],
)
def test_a_started_workflow_has_all_its_steps_before_it(
    kind: Kind, first: str, last: str, count: int
) -> None:
    steps = started(kind)

    assert len(steps) == count
    assert (steps[0].name, steps[-1].name) == (first, last)
    assert {step.state for step in steps} == {StepState.PENDING}
    assert {step.at for step in steps} == {None}
    assert state_of(steps) is StepState.PENDING


def test_a_recorded_registration_waits_for_the_mail_alone() -> None:
    steps = registration_recorded(NOON)

    assert states(steps) == {
        "validation": "completed",
        "uniqueness_check": "completed",
        "password_processing": "completed",
        "user_creation": "completed",
        "email_verification": "waiting",
        "profile_setup": "completed",
    }
    assert {step.at for step in steps} == {NOON}
    assert state_of(steps) is StepState.WAITING


def test_a_verified_address_completes_a_registration() -> None:
    steps = verified(registration_recorded(NOON), LATER)

    assert state_of(steps) is StepState.COMPLETED
    assert [step.at for step in steps] == [NOON, NOON, NOON, NOON, LATER, NOON]


def test_the_first_verification_counts() -> None:
    steps = verified(registration_recorded(NOON), NOON)

    for change in (verified, verification_expired, verification_resent):
        assert change(steps, LATER) == steps


def test_an_expired_verification_fails_until_another_mail_is_sent() -> None:
    expired = verification_expired(registration_recorded(NOON), LATER)
    assert state_of(expired) is StepState.FAILED
    assert states(expired)["email_verification"] == "failed"

    resent = verification_resent(expired, LATER)
    assert state_of(resent) is StepState.WAITING

    assert state_of(verified(resent, LATER)) is StepState.COMPLETED


@pytest.mark.parametrize("failed", REGISTRATION_STEPS)
def test_a_refusal_at_a_step_says_that_earlier_ones_went_well(failed: str) -> None:
    steps = registration_refused(failed, NOON)
    at = REGISTRATION_STEPS.index(failed)

    assert [step.name for step in steps] == list(REGISTRATION_STEPS)
    assert [str(step.state) for step in steps] == [
        *["completed"] * at,
        "failed",
        *["pending"] * (5 - at),
    ]
    assert [step.at for step in steps] == [*[NOON] * (at + 1), *[None] * (5 - at)]
    assert state_of(steps) is StepState.FAILED


def test_a_step_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="tuple"):
        registration_refused("rate_limiting", NOON)


@pytest.mark.parametrize(
    ("message", "node", "step"),
    [
        (4000007, None, "uniqueness_check"),
        (4000027, None, "uniqueness_check"),
        (4000028, None, "uniqueness_check"),
        (4000005, "password", "password_processing"),
        (4000031, "password", "password_processing"),
        (4000032, None, "password_processing"),
        (4000033, "password", "password_processing"),
        (4000034, None, "password_processing"),
        (4000002, "password", "password_processing"),
        (9400099, "password", "password_processing"),
        (4000002, "traits.email", "validation"),
        (4000004, None, "validation"),
        (4000017, "traits.username", "validation"),
        (4000001, "traits.username", "validation"),
        (9400013, "traits.username", "validation"),
        (9400047, None, "validation"),
        (4000001, None, "user_creation"),
        (4000035, None, "user_creation"),
        (5000000, None, "user_creation"),
    ],
)
def test_a_message_of_kratos_tells_the_step(message: int, node: str | None, step: str) -> None:
    assert failed_registration_step([(message, node)]) == step


def test_of_several_messages_the_earliest_step_counts() -> None:
    messages = [(4000032, "password"), (4000007, None), (4000002, "traits.email")]

    assert failed_registration_step(messages) == "validation"
    assert failed_registration_step(messages[:2]) == "uniqueness_check"


def test_an_answer_without_messages_failed_at_the_creation() -> None:
    assert failed_registration_step([]) == "user_creation"


@given(st.lists(st.tuples(st.integers(), st.none() | st.text())))
def test_whatever_kratos_says_is_a_step(messages: list[tuple[int, str | None]]) -> None:
    assert failed_registration_step(messages) in REGISTRATION_STEPS


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([StepState.COMPLETED, StepState.RUNNING, StepState.PENDING], StepState.RUNNING),
        ([StepState.COMPLETED, StepState.PENDING], StepState.PENDING),
        ([StepState.WAITING, StepState.FAILED], StepState.FAILED),
        ([StepState.RUNNING, StepState.WAITING], StepState.RUNNING),
        ([], StepState.PENDING),
    ],
)
def test_the_loudest_step_speaks_for_the_whole(states: list[StepState], whole: StepState) -> None:
    assert state_of(tuple(Step("step", state) for state in states)) is whole


@pytest.mark.parametrize(
    "step",
    [Step("validation"), Step("email_verification", StepState.WAITING, NOON)],
)
def test_a_stored_step_is_read_back_as_it_was(step: Step) -> None:
    at = None if step.at is None else step.at.isoformat()

    assert Step.parse(step.name, str(step.state), at) == step


@pytest.mark.parametrize(("state", "at"), [("lost", None), ("failed", "yesterday")])
def test_a_stored_step_that_makes_no_sense_is_an_error(state: str, at: str | None) -> None:
    with pytest.raises(ValueError, match=r"lost|yesterday"):
        Step.parse("validation", state, at)


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_a_login_fails_at_one_step_and_reaches_none_after_it(step):
    steps = login_failed(step, NOON)
    failed = LOGIN_STEPS.index(step)

    assert [each.state for each in steps[:failed]] == [StepState.COMPLETED] * failed
    assert (steps[failed].state, state_of(steps)) == (StepState.FAILED, StepState.FAILED)
    assert {each.state for each in steps[failed + 1 :]} <= {StepState.PENDING}


def test_a_login_that_succeeded_has_completed_every_step():
    assert state_of(login_succeeded(NOON)) is StepState.COMPLETED


def test_a_login_has_only_its_own_steps():
    with pytest.raises(ValueError, match="not in"):
        login_failed("uniqueness_check", NOON)


def test_nobody_is_told_whether_a_name_or_a_password_was_wrong():
    no_such_name = without_oracle(login_failed("user_lookup", NOON))
    wrong_password = without_oracle(login_failed("password_verification", NOON))

    assert no_such_name == wrong_password
    assert states(wrong_password)["user_lookup"] == "failed"
    assert states(wrong_password)["input_validation"] == "completed"
    assert step_without_oracle("user_lookup") == step_without_oracle("password_verification")
    assert step_without_oracle("rate_limiting") == "rate_limiting"


@pytest.mark.parametrize(
    "steps",
    [started(Kind.LOGIN), login_succeeded(NOON), login_failed("account_status_check", NOON)],
)
def test_where_there_is_nothing_to_hide_the_steps_stay_as_they_are(steps):
    assert without_oracle(steps) == steps


def test_while_a_code_is_awaited_both_steps_wait():
    assert {states(without_oracle(login_waiting(NOON)))[name] for name in LOGIN_STEPS[2:4]} == {
        "waiting"
    }


@pytest.mark.parametrize(
    ("flow", "outcome", "code", "step", "state"),
    [
        ("login", Outcome.NEXT_STEP, "browser_location_change_required", 0, "waiting"),
        ("login", Outcome.VALIDATION, "error_400", 0, "failed"),
        ("login", Outcome.CSRF, "security_csrf_violation", 0, "failed"),
        ("login", Outcome.VALIDATION, "kratos_4000001", 1, "failed"),
        ("login", Outcome.UPSTREAM_ERROR, "upstream_error", 1, "failed"),
        ("registration", Outcome.VALIDATION, "kratos_4000002", 3, "waiting"),
        ("registration", Outcome.REFUSED, "username_taken", 3, "failed"),
        ("login", Outcome.NEXT_STEP, None, 4, "waiting"),
        ("login", Outcome.DISABLED, "account_suspended", 5, "failed"),
        ("login", Outcome.UNVERIFIED, "email_not_verified", 5, "failed"),
        ("verification", Outcome.NEXT_STEP, "sent_email", 5, "waiting"),
        ("registration", Outcome.SUCCESS, None, 5, "waiting"),
    ],
)
def test_a_login_with_a_provider_stands_where_its_outcome_says(flow, outcome, code, step, state):
    steps, failed = oauth_steps(flow, outcome, code, NOON)
    assert [str(each.state) for each in steps[:step]] == ["completed"] * step
    assert str(steps[step].state) == state == str(state_of(steps))
    assert {str(each.state) for each in steps[step + 1 :]} <= {"pending"}
    assert failed == (steps[step].name if state == "failed" else None)


def test_a_login_with_a_provider_is_done_with_a_session():
    steps, failed = oauth_steps("login", Outcome.SUCCESS, None, NOON)
    assert state_of(steps) is StepState.COMPLETED
    assert failed is None
