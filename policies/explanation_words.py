"""The words of an explanation: what it means to stand in a relation, and what it means not to."""

from policies.authority import GATE, GUESTS, PLATFORM_NAMESPACE, ROLE_RELATIONS

_ROLES = {relation: role for role, relation in ROLE_RELATIONS.items()}
NOUNS = {"owners": "owner", "editors": "editor", "viewers": "viewer", "moderators": "moderator"}
# What people do; the other permits of the model are groups of people.
_ACTIONS = frozenset(
    {
        "view",
        "find",
        "edit",
        "remove",
        "share",
        "moderate",
        "manage",
        "update",
        "enter",
        "use",
        "administer",
        "create",
        "participate",
    }
)


def holds(namespace: str, name: str, relation: str) -> str:
    """Say what a subject in this relation is, behind `the subject`."""
    if namespace == PLATFORM_NAMESPACE:
        if relation == GATE:
            return "may act at all (its account is active)"
        if relation == GUESTS:
            return "is a guest"
        return f"has the role {_ROLES[relation]}" if relation in _ROLES else f"is in {relation}"
    if relation == "granted":
        return f"holds {name}"
    return f"is {_place(namespace, name, relation)}"


def lacks(namespace: str, name: str, relation: str) -> str:
    """Say what a subject outside this relation is not."""
    if namespace == PLATFORM_NAMESPACE:
        if relation == GATE:
            return "may not act at all: its account is not active"
        if relation == GUESTS:
            return "is not a guest"
        if relation in _ROLES:
            return f"does not have the role {_ROLES[relation]}"
        return f"is not in {relation}"
    if relation == "granted":
        return f"does not hold {name}"
    return f"is not {_place(namespace, name, relation)}"


def may(namespace: str, name: str, permit: str) -> str:
    """Say what a permit of the model asks."""
    if permit == "holds":
        return f"holds {name}, or what covers it"
    if permit in _ACTIONS:
        return f"may {permit} {namespace}:{name}"
    return f"is among the {permit} of {namespace}:{name}"


def _place(namespace: str, name: str, relation: str) -> str:
    target = f"{namespace}:{name}"
    if relation in NOUNS:
        return f"{NOUNS[relation]} of {target}"
    if relation in ("audience", "listing"):
        return f"in the {relation} of {target}"
    return f"in {relation} of {target}"
