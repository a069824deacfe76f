"""A denial of a policy about authority as an error: which kind it is depends on its reasons."""

from integration.errors import ConflictError, ForbiddenError, InvalidInputError, KleisError
from policies.decisions import Decision, Deny, Effect

# The caller may not, whatever the state of things is.
_FORBIDDEN = frozenset(
    {
        "expiry_beyond_own",
        "grant_to_oneself",
        "not_yours",
        "permission_not_held",
        "person_required",
        "role_not_held",
        "same_person",
        "scope_missing",
    }
)
# It could be allowed in another state of things.
_CONFLICT = frozenset(
    {
        "appeal_not_open",
        "appeal_not_possible",
        "appeal_open",
        "appeal_too_soon",
        "duties_conflict",
        "elevation_lapsed",
        "elevation_not_open",
        "last_admin",
        "member_gone",
        "member_not_active",
        "member_not_verified",
        "permission_exists",
        "permission_granted",
        "permission_held",
    }
)


def refusal(denied: Deny) -> KleisError:
    """Return the error to raise. `errors` in its facts names every reason."""
    codes = {reason.code: reason for reason in denied.reasons}
    for kinds, error in ((_FORBIDDEN, ForbiddenError), (_CONFLICT, ConflictError)):
        if found := [reason for code, reason in codes.items() if code in kinds]:
            return _error(error, denied, found[0].code, found[0].text)
    return _error(InvalidInputError, denied, denied.reasons[0].code, denied.reasons[0].text)


def expect_allowed(decision: Decision) -> tuple[Effect, ...]:
    """Return what follows, when it is allowed.

    Raises:
        ForbiddenError, ConflictError, InvalidInputError: by the reasons.
    """
    if isinstance(decision, Deny):
        raise refusal(decision)
    return decision.effects


def _error(kind: type[KleisError], denied: Deny, code: str, text: str) -> KleisError:
    errors = [
        {"code": reason.code, "detail": reason.text}
        | ({} if reason.pointer is None else {"pointer": reason.pointer})
        for reason in denied.reasons
    ]
    return kind(text, detail=code, problem=code, facts={"errors": errors})
