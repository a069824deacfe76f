"""How far the specification's steps of a login with a provider got, told from its outcomes."""

from datetime import datetime

from integration.edge.flows.submit_outcomes import Outcome
from policies import progress
from policies.progress import StepState

# A failure that cannot be placed counts from the first step that only the provider can do.
_FAILED_AT = {
    Outcome.LIMITED: "state_validation",
    Outcome.CSRF: "state_validation",
    Outcome.FLOW_EXPIRED: "state_validation",
    Outcome.DISABLED: "session_creation",
    Outcome.UNVERIFIED: "session_creation",
    Outcome.REFUSED: "session_creation",
    Outcome.HOOK_FAILED: "session_creation",
}
# Kratos' errors without a flow: it could not tell whose answer this is.
_NO_FLOW = "error_"
_AT_THE_PROVIDER = "browser_location_change_required"


def oauth_steps(
    flow: str, outcome: Outcome, code: str | None, at: datetime
) -> tuple[progress.Steps, str | None]:
    """Return the steps, and the one that failed.

    Args:
        flow: What the submit was after all: `login`; `registration`, where something was missing
            or refused; `verification`, where the address is still to be proven.
        code: As in `SubmitOutcome`.
    """
    if outcome is Outcome.SUCCESS and flow == "login":
        return progress.oauth_succeeded(at), None
    if code == _AT_THE_PROVIDER:
        return progress.oauth_reached("state_validation", StepState.WAITING, at), None
    if flow == "registration" and outcome is Outcome.VALIDATION:
        return progress.oauth_reached("user_resolution", StepState.WAITING, at), None
    if outcome in (Outcome.NEXT_STEP, Outcome.SUCCESS):
        step = "account_linking" if flow == "login" else "session_creation"
        return progress.oauth_reached(step, StepState.WAITING, at), None
    step = _FAILED_AT.get(outcome, "token_exchange")
    if flow == "registration" and outcome is Outcome.REFUSED:
        step = "user_resolution"
    elif (code or "").startswith(_NO_FLOW):
        step = "state_validation"
    return progress.oauth_reached(step, StepState.FAILED, at), step
