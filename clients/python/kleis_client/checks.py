"""A question about a permission, and the issuer's answer to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kleis_client.errors import IssuerError

UNDECIDED = "undecided"
"""The reason of a denial that is ours: there was no answer in time."""
_DOUBTFUL = frozenset({UNDECIDED, "unknown", "settling", "stale"})
_SETTLED = frozenset({"allowed", "denied", "gate_closed"})
_LONGEST = 256
_MEMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROBLEM = "urn:kleis:problem:"


@dataclass(frozen=True, slots=True)
class Check:
    """May somebody do something?

    Attributes:
        subject: The member's UUID.
        name: A permission such as `content.publish`; with `on` an action such as `edit`.
        on: The object, such as `Content:42`.
    """

    subject: str
    name: str
    on: str | None = None

    @property
    def may_be_kept(self) -> bool:
        """Whether the feed of stale decisions would name the subject as it is written here."""
        return _MEMBER.fullmatch(self.subject) is not None

    def body(self) -> dict[str, Any]:
        """Return the question as the issuer wants it."""
        if self.on is None:
            return {"subject": self.subject, "permission": self.name}
        return {"subject": self.subject, "action": self.name, "resource": self.on}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. What is not allowed for sure is denied.

    Attributes:
        reason: Why, in the issuer's word; `undecided` when it gave no answer.
        epoch: Which changes the answer knows of, as `at_least` takes it; empty if there was none.
        until: When an allow ends by itself, with the grant that gives it; None if nothing is known
            to end it.
    """

    allowed: bool
    reason: str
    epoch: str = ""
    until: datetime | None = None

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def is_decided(self) -> bool:
        """Whether this is an answer, and not only the lack of one. Asking again may help if not."""
        return self.allowed or self.reason not in _DOUBTFUL

    @property
    def may_be_kept(self) -> bool:
        """Whether it stays true until something changes; an unknown reason is not trusted to."""
        return self.reason in _SETTLED


NO_ANSWER = Decision(allowed=False, reason=UNDECIDED)


def decision_of(answer: object) -> Decision:
    """Return the decision in one answer. A problem in its place is a denial with its code.

    Raises:
        IssuerError: If it is neither.
    """
    if not isinstance(answer, Mapping):
        raise IssuerError("The issuer's answer is not a decision.")
    if isinstance(answer.get("error"), Mapping):
        return Decision(allowed=False, reason=problem_code(answer["error"]))
    allowed, reason, epoch = answer.get("allowed"), answer.get("reason"), answer.get("epoch")
    if not isinstance(allowed, bool) or not _is_word(reason) or not _is_word(epoch):
        raise IssuerError("The issuer's answer is not a decision.")
    return Decision(allowed, str(reason), str(epoch), _moment(answer.get("until")))


def decisions_of(answer: Mapping[str, Any], checks: Sequence[Check]) -> dict[Check, Decision]:
    """Return the decisions in the answer to a batch.

    Raises:
        IssuerError: If it does not hold one for each question.
    """
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != len(checks):
        raise IssuerError("The issuer's answer is not one decision a question.")
    return dict(zip(checks, map(decision_of, results), strict=True))


def problem_code(problem: Mapping[str, Any]) -> str:
    """Return the code of a problem document of the issuer, `undecided` if it has none."""
    kind = problem.get("type")
    if not isinstance(kind, str) or not kind.startswith(_PROBLEM) or len(kind) > _LONGEST:
        return UNDECIDED
    return kind.removeprefix(_PROBLEM)


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise IssuerError("The issuer's answer names no end that can be read.")
    return moment


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST
