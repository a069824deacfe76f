"""What an API key may do."""

from collections.abc import Iterable

from policies.decisions import Deny, Reason

AREAS = ("identities", "permissions", "roles", "operations")

SCOPES: frozenset[str] = frozenset(
    f"{area}:{right}" for area in AREAS for right in ("read", "write")
)


def permits(granted: frozenset[str], needed: str) -> bool:
    """Tell whether a key with the scopes `granted` may do what `needed` guards.

    Writing implies reading. A scope that does not exist permits nothing, even a key that
    carries its name.
    """
    if needed not in SCOPES:
        return False
    area = needed.partition(":")[0]
    return needed in granted or f"{area}:write" in granted


def parse_scopes(names: Iterable[str]) -> frozenset[str] | Deny:
    """Turn names, as typed, into the scopes of a key; all unknown ones are denied at once.

    Returns:
        The scopes; or a denial with code `scope_unknown` for each name that is none, or
        `scope_missing` when there is no name at all.
    """
    wanted = tuple(dict.fromkeys(name.strip() for name in names))
    unknown = tuple(name for name in wanted if name not in SCOPES)
    if unknown:
        known = ", ".join(sorted(SCOPES))
        return Deny(
            tuple(
                Reason("scope_unknown", f"{name!r:.60} is not a scope; there are: {known}.")
                for name in unknown
            )
        )
    if not wanted:
        return Deny((Reason("scope_missing", "Name at least one scope."),))
    return frozenset(wanted)
