"""How a submit ended: one name for every flow, method and kind of client.

Read from message ids and error codes, never from the status: a hook that failed is 400 for a
native client, 500 for a script and a redirect for a form. Sources: ory/kratos v1.3.1,
`text/id.go`; answers recorded from the running server, in `tests/unit/recorded/`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from integration.edge.flows.outcomes import FlowMessage
from policies.progress import OWN_MESSAGES


class Outcome(StrEnum):
    """How a submit ended."""

    SUCCESS = "success"
    WRONG_CREDENTIALS = "wrong_credentials"
    """Wrong password, or nobody of that name: Kratos does not tell them apart."""
    WRONG_CODE = "wrong_code"
    """A wrong mailed code, TOTP or look-up code."""
    DISABLED = "disabled"
    """The credentials were right; the account is suspended, banned, deactivated or deleted."""
    UNVERIFIED = "unverified"
    """The credentials were right; the e-mail address is not verified."""
    REFUSED = "refused"
    """A hook of ours, or a guard, said no for another reason; `code` says which."""
    FLOW_EXPIRED = "flow_expired"
    CSRF = "csrf"
    VALIDATION = "validation"
    """Something was missing or malformed; no credential was tried."""
    HOOK_FAILED = "hook_failed"
    UPSTREAM_ERROR = "upstream_error"
    """Kratos failed, or how it ended could not be read."""
    LIMITED = "limited"
    """Too many attempts; nothing was tried."""
    NEXT_STEP = "next_step"
    """Nothing failed and nothing is done: a code was sent, a provider or another login is next."""

    @property
    def is_credential_failure(self) -> bool:
        """Whether a secret was tried and was wrong: what limits count."""
        return self in (Outcome.WRONG_CREDENTIALS, Outcome.WRONG_CODE)

    @property
    def had_right_credentials(self) -> bool:
        """Whether the first secret was right, whatever came of it."""
        return self in (Outcome.SUCCESS, Outcome.DISABLED, Outcome.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """How one submit ended.

    Attributes:
        method: As `Submit.method`.
        identity_id: Whose credentials they were, where Kratos told; None otherwise.
        session_id: Of the session that a success gave or changed.
        code: Our reason's code, `kratos_<message id>`, or Ory's error id; None on success.
        is_new_session: A login that began a session: not a refresh, not a second factor.
        flow: What it was after all; of an OIDC callback only the answer tells.
        session: Kratos' session object that a success gave, where it was shown.
    """

    outcome: Outcome
    method: str
    identity_id: UUID | None = None
    session_id: UUID | None = None
    code: str | None = None
    is_new_session: bool = False
    flow: str = ""
    session: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_login(self) -> bool:
        """Whether this counts for `last_login`.

        A first-factor (or passwordless) login that gives a session counts; a refresh and a
        second factor only strengthen a session that was counted when it began.
        """
        return self.outcome is Outcome.SUCCESS and self.flow == "login" and self.is_new_session


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a document says by itself.

    Attributes:
        session: Kratos' session object, when the document has one.
        identity_id: As in `SubmitOutcome`.
    """

    outcome: Outcome
    code: str | None = None
    identity_id: UUID | None = None
    session: Mapping[str, Any] | None = None


_WRONG_CREDENTIALS = frozenset({4000006, 4000035, 4000037})
_WRONG_CODES = frozenset(
    {4000008, 4000012, 4000016, 4010008, 4040003, 4060004, 4060006, 4070001, 4070006}
)
_EXPIRED = frozenset({4010001, 4040001, 4050001, 4060005, 4070005})
_NOT_VERIFIED = 4000010
_GENERIC = 4000001
# The one meaning of the generic message that limits care about; it has no number of its own.
_TOO_OFTEN = "submitted too often"

_UNVERIFIED_CODE = "email_not_verified"
_DISABLED_CODES = frozenset(
    {"account_suspended", "account_banned", "account_deactivated", "account_deleted"}
)
_NEXT_STEP_ERRORS = frozenset(
    {
        "browser_location_change_required",
        "session_aal1_required",
        "session_aal2_required",
        "session_already_available",
        "session_inactive",
        "session_refresh_required",
    }
)
_GONE_ERRORS = frozenset({"self_service_flow_expired", "self_service_flow_replaced"})
_HOOK = re.compile(r"web ?hook|/hooks?/|giving up after", re.IGNORECASE)
_DONE = frozenset({"success", "passed_challenge"})
# Both are stamped in one request; nobody goes to a provider and back as fast.
_LINKED_WITHIN = timedelta(milliseconds=250)


def of_messages(messages: Sequence[FlowMessage]) -> tuple[Outcome, str] | None:
    """Return what the error messages of a flow mean; None without any.

    A wrong secret outweighs whatever else is said.
    """
    meanings = [_meaning(message) for message in messages]
    for loudest in (Outcome.WRONG_CREDENTIALS, Outcome.WRONG_CODE):
        for meaning in meanings:
            if meaning[0] is loudest:
                return meaning
    return meanings[0] if meanings else None


def _meaning(message: FlowMessage) -> tuple[Outcome, str]:
    if message.id >= OWN_MESSAGES:
        code = message.code or f"kratos_{message.id}"
        if code == _UNVERIFIED_CODE:
            return Outcome.UNVERIFIED, code
        return (Outcome.DISABLED if code in _DISABLED_CODES else Outcome.REFUSED), code
    code = f"kratos_{message.id}"
    if message.id in _WRONG_CREDENTIALS:
        return Outcome.WRONG_CREDENTIALS, code
    if message.id in _WRONG_CODES:
        return Outcome.WRONG_CODE, code
    if message.id in _EXPIRED:
        return Outcome.FLOW_EXPIRED, code
    if message.id == _NOT_VERIFIED:
        return Outcome.UNVERIFIED, code
    if message.id == _GENERIC and _TOO_OFTEN in message.text:
        return Outcome.LIMITED, "code_tried_too_often"
    return Outcome.VALIDATION, code


def of_error(error: Mapping[str, Any]) -> Verdict:
    """Return what Ory's error object means."""
    name, code = error.get("id"), error.get("code")
    named = name if isinstance(name, str) and name else None
    if named == "security_csrf_violation":
        return Verdict(Outcome.CSRF, named)
    if named in _GONE_ERRORS or code in (404, 410):
        return Verdict(Outcome.FLOW_EXPIRED, named or "flow_unknown")
    if named in _NEXT_STEP_ERRORS:
        return Verdict(Outcome.NEXT_STEP, named)
    if not isinstance(code, int) or code >= 500:
        text = f"{error.get('message', '')} {error.get('reason', '')}"
        is_hook = bool(_HOOK.search(text))
        outcome = Outcome.HOOK_FAILED if is_hook else Outcome.UPSTREAM_ERROR
        return Verdict(outcome, str(outcome))
    # Said after right credentials alone; the error has no id of its own.
    if error.get("message") == "identity is disabled":
        details = error.get("details")
        known = details.get("identity_id") if isinstance(details, dict) else None
        return Verdict(Outcome.DISABLED, "identity_disabled", identity_id=as_uuid(known))
    return Verdict(Outcome.VALIDATION, named or f"error_{code}")


def session_of(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the session that an answer to a submit carries, or None."""
    session = document.get("session")
    return session if isinstance(session, dict) else None


def identity_of(document: Mapping[str, Any]) -> UUID | None:
    """Return the id of the identity in a document or in its session."""
    for holder in (document, session_of(document) or {}):
        identity = holder.get("identity")
        if isinstance(identity, dict):
            return as_uuid(identity.get("id"))
    return None


def is_done(document: Mapping[str, Any]) -> bool:
    """Tell whether a document without error messages says that the flow succeeded."""
    if session_of(document) is not None or document.get("state") in _DONE:
        return True
    return "ui" not in document and "identity" in document


def is_new_session(session: Mapping[str, Any]) -> bool:
    """Tell whether a session's last authentication began it.

    A refresh and a second factor add an entry to its methods; a first login has one, or two at the
    same moment when it also linked a provider. Renewed with a provider, a session is another one.
    """
    methods = [item for item in session.get("authentication_methods") or () if _is_dict(item)]
    if len(methods) < 2:
        return True
    if len(methods) > 2 or methods[1].get("method") != "oidc":
        return False
    first, second = (_moment(item.get("completed_at")) for item in methods)
    return first is not None and second is not None and abs(second - first) < _LINKED_WITHIN


def as_uuid(value: object) -> UUID | None:
    """Return a UUID from text of a document, or None."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
