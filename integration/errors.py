"""Errors Kleis can raise, free of HTTP, SQL and Celery.

    KleisError
    ├── NotFoundError             the thing asked for does not exist
    ├── ConflictError             it exists already, or is in the wrong state
    ├── InvalidInputError         what was sent cannot be used as it is
    ├── UnauthenticatedError      the caller did not prove who it is
    ├── ForbiddenError            the caller is known and may not
    │   ├── SecondFactorNeededError     not before a second factor is given
    │   └── ReauthenticationRequiredError not before it proves again who it is
    ├── WrongPasswordError        the caller's present password is another one
    ├── DeniedError               a policy said no, for reasons the caller can do something about
    ├── LimitedError              too often; the same may be tried again after a while
    ├── UpstreamUnavailableError  Kratos, Keto or a mail server did not answer; worth retrying
    ├── UpstreamRefusedError      one of them said no; retrying cannot help
    ├── BusyError                 another writer holds what is needed; worth retrying
    └── StackError                the embedded stack cannot start or go on; says what to do

Two texts travel with each: `message` may be shown to the caller, `detail` is for logs alone.
How an error becomes an answer is decided where answers are made: `integration.api.problems`
for clients, `hooks.replies` for Kratos, `integration.cli` for operators.
"""

from collections.abc import Mapping
from typing import ClassVar

from policies.decisions import Reason


class KleisError(Exception):
    """Base class; never raised itself."""

    code: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        detail: str = "",
        problem: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Raise with words for the caller.

        Args:
            problem: A closer name for programs than the class has, snake case.
            facts: What a program may want to know besides; travels with the name.
        """
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.problem = problem or self.code
        self.facts = dict(facts or {})


class NotFoundError(KleisError):
    code = "not_found"


class ConflictError(KleisError):
    code = "conflict"


class InvalidInputError(KleisError):
    code = "invalid_input"


class UnauthenticatedError(KleisError):
    code = "unauthenticated"


class ForbiddenError(KleisError):
    code = "forbidden"


class SecondFactorNeededError(ForbiddenError):
    """Kratos' own name: its clients know what to do."""

    code = "session_aal2_required"


class ReauthenticationRequiredError(ForbiddenError):
    """Kratos' own name: its clients know what to do."""

    code = "session_refresh_required"


class WrongPasswordError(KleisError):
    code = "current_password_wrong"


class DeniedError(KleisError):
    """Carries the reasons, each with its own code and field."""

    code = "denied"

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__(reasons[0].text, detail=",".join(reason.code for reason in reasons))
        self.reasons = reasons


class LimitedError(KleisError):
    """Carries for how long, in whole seconds, and how the edge calls it.

    Attributes:
        limit: Which limit: its name, how many, in how many seconds; None: somebody else's.
    """

    code = "too_many_requests"

    def __init__(
        self,
        message: str,
        *,
        retry_after: str,
        problem: str = "",
        limit: tuple[str, int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.problem = problem or self.code
        self.limit = limit


class UpstreamUnavailableError(KleisError):
    code = "upstream_unavailable"


class UpstreamRefusedError(KleisError):
    code = "upstream_refused"


class BusyError(KleisError):
    code = "busy"


class StackError(KleisError):
    """Its message is one sentence for the person at the terminal, with the setting to change."""

    code = "stack"
