"""One attempt to log in, and how far the specification's steps of it got."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from integration.edge.flows.oauth_progress import oauth_steps
from integration.edge.flows.submit_outcomes import Outcome
from policies import progress

# Where the specification's steps end for each way that is no success. A failure that cannot be
# placed counts from the first step that only Kratos can do.
_FAILED_AT = {
    Outcome.LIMITED: "rate_limiting",
    Outcome.VALIDATION: "input_validation",
    Outcome.CSRF: "input_validation",
    Outcome.FLOW_EXPIRED: "input_validation",
    Outcome.WRONG_CREDENTIALS: "password_verification",
    Outcome.WRONG_CODE: "password_verification",
    Outcome.UPSTREAM_ERROR: "user_lookup",
    Outcome.DISABLED: "account_status_check",
    Outcome.UNVERIFIED: "account_status_check",
    Outcome.REFUSED: "account_status_check",
    Outcome.HOOK_FAILED: "account_status_check",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as it happened.

    Attributes:
        identifier: Whom it named; looked up among the members, stored only as a keyed hash.
        identity_id: Whose it was as Kratos told; None: to be looked up.
        user_agent: At most 256 characters, none of them a control character.
        counts: It gave a session that did not exist before: `last_login` moves.
        is_record: One row of `login_attempts`; else only the flow's steps move.
        flow: What it was after all: with a provider, a login may turn into a registration.
    """

    id: UUID
    at: datetime
    identifier: str | None
    identifier_hash: bytes | None
    identity_id: UUID | None
    address: str
    user_agent: str
    device_id: UUID | None
    method: str
    outcome: Outcome
    code: str | None
    flow_id: UUID | None
    counts: bool
    is_record: bool
    flow: str = "login"

    @property
    def kind(self) -> progress.Kind:
        return progress.Kind.OAUTH if self.method == "oidc" else progress.Kind.LOGIN

    def steps(self, identity_id: UUID | None) -> tuple[progress.Steps, str | None]:
        """Return the specification's steps of this login, and the one it failed at.

        Args:
            identity_id: The member of that name, or None when there is none.
        """
        if self.kind is progress.Kind.OAUTH:
            return oauth_steps(self.flow, self.outcome, self.code, self.at)
        if self.outcome is Outcome.SUCCESS:
            return progress.login_succeeded(self.at), None
        if self.outcome is Outcome.NEXT_STEP:
            return progress.login_waiting(self.at), None
        step = _FAILED_AT[self.outcome]
        if self.outcome is Outcome.WRONG_CREDENTIALS and identity_id is None:
            step = "user_lookup"
        return progress.login_failed(step, self.at), step
