"""A decision: its question, its answer, and why."""

from dataclasses import dataclass
from enum import StrEnum

from policies.permission_questions import Epochs, Question

NO_EPOCHS = Epochs(0, 0)


class Reason(StrEnum):
    """Why a decision is what it is; `explain` says more."""

    ALLOWED = "allowed"
    DENIED = "denied"
    # The member may not act at all: suspended, banned, not verified.
    GATE_CLOSED = "gate_closed"
    SUBJECT_UNKNOWN = "subject_unknown"
    # Keto could not be told in time what has changed.
    SETTLING = "settling"
    # This edge does not know yet what the caller says it knows.
    STALE = "stale"
    # Keto gave no answer in time.
    UNKNOWN = "unknown"
    # Keto gave no answer, and the site's setting believes the last one.
    LAST_KNOWN = "last_known"


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, and what its answer must know; see `policies.permission_questions.Asked`."""

    question: Question
    at_least: Epochs | None = None
    fresh: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether any answer will do that is true by the rules of the cache."""
        return self.at_least is None and not self.fresh


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the epochs it was given at.

    Attributes:
        until: When an allow ends by itself, Unix time; None: nothing is known to end it.
    """

    allowed: bool
    reason: Reason
    epochs: Epochs
    until: float | None = None


def said(allowed: bool, epochs: Epochs, until: float | None = None) -> Decision:
    reason = Reason.ALLOWED if allowed else Reason.DENIED
    return Decision(allowed, reason, epochs, until if allowed else None)


def denied(reason: Reason, epochs: Epochs) -> Decision:
    return Decision(allowed=False, reason=reason, epochs=epochs)
