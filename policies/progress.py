"""How far a workflow got: its steps, named as in the specification, and what moves them on.

Every function takes a whole list of steps, or none, and gives a whole new one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

REGISTRATION_STEPS = (
    "validation",
    "uniqueness_check",
    "password_processing",
    "user_creation",
    "email_verification",
    "profile_setup",
)
LOGIN_STEPS = (
    "rate_limiting",
    "input_validation",
    "user_lookup",
    "password_verification",
    "account_status_check",
    "token_generation",
    "session_creation",
)
OAUTH_STEPS = (
    "state_validation",
    "token_exchange",
    "profile_fetch",
    "user_resolution",
    "account_linking",
    "session_creation",
)
PROFILE_STEPS = (
    "authorization",
    "validation",
    "file_processing",
    "data_update",
    "cache_invalidation",
    "search_sync",
)

# Our own messages in Kratos' flows start here; Kratos uses no id as high.
OWN_MESSAGES = 9_400_000

# Source: ory/kratos v1.3.1, text/id.go.
_DUPLICATE_MESSAGES = frozenset({4000007, 4000027, 4000028})
_PASSWORD_MESSAGES = frozenset({4000005, *range(4000031, 4000035)})
_SCHEMA_MESSAGES = frozenset({*range(4000002, 4000005), *range(4000017, 4000027), 4000029, 4000030})


class Kind(StrEnum):
    """Which workflow."""

    REGISTRATION = "registration"
    LOGIN = "login"
    OAUTH = "oauth"
    PROFILE = "profile"


class StepState(StrEnum):
    """State of one step, and of a workflow as a whole."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"  # for the person
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        at: When it came into `state`; None while pending.
    """

    name: str
    state: StepState = StepState.PENDING
    at: datetime | None = None

    @classmethod
    def parse(cls, name: str, state: str, at: str | None) -> Self:
        """Read a step back from its stored form.

        Args:
            at: ISO 8601.

        Raises:
            ValueError: No such state, or no such moment.
        """
        return cls(name, StepState(state), None if at is None else datetime.fromisoformat(at))


Steps = tuple[Step, ...]

_NAMES = {
    Kind.REGISTRATION: REGISTRATION_STEPS,
    Kind.LOGIN: LOGIN_STEPS,
    Kind.OAUTH: OAUTH_STEPS,
    Kind.PROFILE: PROFILE_STEPS,
}
# Apart, they would tell strangers who has an account.
_ONE_STEP = ("user_lookup", "password_verification")
# Whatever comes first in this list, and any step is in, is the state of the whole.
_LOUDEST = (StepState.FAILED, StepState.RUNNING, StepState.WAITING)


def started(kind: Kind) -> Steps:
    """Give the steps of a workflow of which nothing has happened yet."""
    return tuple(Step(name) for name in _NAMES[kind])


def state_of(steps: Steps) -> StepState:
    """Sum up: failed, running or waiting if any step is; completed only if all are."""
    states = {step.state for step in steps}
    for state in _LOUDEST:
        if state in states:
            return state
    return StepState.COMPLETED if states == {StepState.COMPLETED} else StepState.PENDING


def registration_recorded(at: datetime) -> Steps:
    """Give the steps once Kratos and we have stored the person: only their mail is missing."""
    return tuple(
        Step(
            name,
            StepState.WAITING if name == "email_verification" else StepState.COMPLETED,
            at,
        )
        for name in REGISTRATION_STEPS
    )


def verified(steps: Steps, at: datetime) -> Steps:
    """Complete the step that waited for the person's mail; the first time counts."""
    return _email_verification(steps, StepState.COMPLETED, at)


def verification_expired(steps: Steps, at: datetime) -> Steps:
    """Fail the step that waited for the person's mail, unless it is completed."""
    return _email_verification(steps, StepState.FAILED, at)


def verification_resent(steps: Steps, at: datetime) -> Steps:
    """Wait for the person's mail again, unless it is completed."""
    return _email_verification(steps, StepState.WAITING, at)


def registration_refused(step: str, at: datetime) -> Steps:
    """Give the steps of a registration that failed at `step`: those before it went well.

    Raises:
        ValueError: A registration has no such step.
    """
    return _reached(REGISTRATION_STEPS, step, StepState.FAILED, at)


def login_succeeded(at: datetime) -> Steps:
    """Give the steps of a login that gave a session."""
    return tuple(Step(name, StepState.COMPLETED, at) for name in LOGIN_STEPS)


def login_failed(step: str, at: datetime) -> Steps:
    """Give the steps of a login that failed at `step`: those before it went well.

    Raises:
        ValueError: A login has no such step.
    """
    return _reached(LOGIN_STEPS, step, StepState.FAILED, at)


def login_waiting(at: datetime) -> Steps:
    """Give the steps of a login that waits for a code, or for a provider to answer."""
    return _reached(LOGIN_STEPS, "password_verification", StepState.WAITING, at)


def oauth_succeeded(at: datetime) -> Steps:
    """Give the steps of a login with a provider that gave a session."""
    return tuple(Step(name, StepState.COMPLETED, at) for name in OAUTH_STEPS)


def oauth_reached(step: str, state: StepState, at: datetime) -> Steps:
    """Give the steps of a login with a provider that failed or waits at `step`.

    Raises:
        ValueError: There is no such step.
    """
    return _reached(OAUTH_STEPS, step, state, at)


def without_oracle(steps: Steps) -> Steps:
    """Give the steps of a login for eyes that may not learn who exists.

    `user_lookup` and `password_verification` read as one step: both failed when either did, both
    unfinished when either is, at the same moment.
    """
    pair = [step for step in steps if step.name in _ONE_STEP]
    states = {step.state for step in pair}
    order = (*_LOUDEST, StepState.PENDING)
    state = next((each for each in order if each in states), StepState.COMPLETED)
    moments = [step.at for step in pair if step.state is state]
    at = max((moment for moment in moments if moment is not None), default=None)
    return tuple(
        replace(step, state=state, at=at) if step.name in _ONE_STEP else step for step in steps
    )


def step_without_oracle(step: str) -> str:
    """Name the step a login failed at, for eyes that may not learn who exists."""
    return _ONE_STEP[-1] if step in _ONE_STEP else step


def failed_registration_step(messages: Iterable[tuple[int, str | None]]) -> str:
    """Tell at which step Kratos' answer to a registration failed.

    Args:
        messages: Id and node name (`traits.email`, `password`; None: the flow's own) of every
            error message in the answer.

    Returns:
        The earliest step any of them speaks of; `user_creation` when none speaks of one.
    """
    steps = {_step_of(message, node) for message, node in messages}
    return min(steps, key=REGISTRATION_STEPS.index, default="user_creation")


def _step_of(message: int, node: str | None) -> str:
    if message in _DUPLICATE_MESSAGES:
        return "uniqueness_check"
    if message in _PASSWORD_MESSAGES or node == "password":
        return "password_processing"
    on_trait = node is not None and node.startswith("traits")
    if on_trait or message >= OWN_MESSAGES or message in _SCHEMA_MESSAGES:
        return "validation"
    return "user_creation"


def _reached(names: tuple[str, ...], step: str, state: StepState, at: datetime) -> Steps:
    reached = names.index(step)
    return tuple(
        Step(name, StepState.COMPLETED if index < reached else state, at)
        if index <= reached
        else Step(name)
        for index, name in enumerate(names)
    )


def _email_verification(steps: Steps, state: StepState, at: datetime) -> Steps:
    return tuple(
        replace(step, state=state, at=at)
        if step.name == "email_verification" and step.state is not StepState.COMPLETED
        else step
        for step in steps
    )
