"""Which permissions exist, how their names read, and which role has which.

A name is one to four words with dots between them, such as `content.publish`. `content.*` stands
for everything below `content`, `*` for everything. A role has what is written down for it and all
that the roles below it have.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from policies.authority import ROLE_RELATIONS, Role
from policies.decisions import Deny, Reason

EVERYTHING = "*"
MAX_LENGTH = 128
# Keto asks at depth 10; a role's `*` behind four words needs 9.
MAX_WORDS = 4
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")

# What each role may do besides what the roles below it may. A guest has no row and no permission:
# what is public is in the audience of each content.
OWN_PERMISSIONS: Mapping[Role, tuple[str, ...]] = {
    Role.USER: (
        "content.read",
        "content.comment",
        "content.rate",
        "content.report",
        "playlists.create",
        "profile.update",
    ),
    Role.CREATOR: (
        "channels.create",
        "content.create",
        "content.publish",
        "content.schedule",
        "content.statistics",
    ),
    Role.MODERATOR: (
        "appeals.review",
        "comments.moderate",
        "content.moderate",
        "members.read",
        "members.suspend",
        "reports.review",
    ),
    Role.ADMIN: (EVERYTHING,),
}

# What our own admin API asks for; only admins have these, or whom they are granted to.
PLATFORM_PERMISSIONS: Mapping[str, str] = {
    "appeals.decide": "Decide appeals.",
    "audit.read": "Read who changed whose authority.",
    "grants.read": "List grants, and requests for more.",
    "grants.write": "Grant and revoke permissions one holds, decide requests for them.",
    "keys.read": "List API keys.",
    "keys.write": "Create and revoke API keys.",
    "members.write": "Change members: suspend, ban, enable, delete.",
    "operations.read": "See undone effects and what is missing.",
    "operations.write": "Retry effects.",
    "permissions.read": "List the permissions that exist.",
    "permissions.write": "Add permissions of the application.",
    "risk.read": "Read risk assessments.",
    "risk.write": "Change how risk is treated.",
    "roles.read": "List the roles and who has them.",
    "roles.write": "Give members their role.",
}

# First words that belong to the platform; applications take others.
PLATFORM_AREAS = frozenset(name.partition(".")[0] for name in PLATFORM_PERMISSIONS)


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of the catalogue.

    Attributes:
        lowest_role: The least role that has it, with all above; None: only by a grant, or by `*`.
    """

    name: str
    description: str = ""
    lowest_role: Role | None = None


def check_name(name: str) -> Deny | None:
    """Deny a name that is none, with code `permission_name_invalid`."""
    words = name.split(".")
    plain = words[:-1] if words[-1] == EVERYTHING else words
    fits = len(name) <= MAX_LENGTH and len(words) <= MAX_WORDS
    if fits and all(_WORD.match(word) for word in plain):
        return None
    return Deny(
        (
            Reason(
                "permission_name_invalid",
                "A permission is one to four words of small letters, digits, - and _, with dots "
                "between them, such as content.publish; the last word may be *.",
                "#/permission",
            ),
        )
    )


def wider(name: str) -> str | None:
    """Return the next name that covers this one: `a.b` -> `a.*` -> `*` -> None."""
    if name == EVERYTHING:
        return None
    words = name.split(".")
    if words[-1] == EVERYTHING:
        words.pop()
    words.pop()
    return ".".join([*words, EVERYTHING])


def covering(name: str) -> Iterator[str]:
    """Yield a name and all that cover it, the narrowest first."""
    each: str | None = name
    while each is not None:
        yield each
        each = wider(each)


def allows(held: Iterable[str], name: str) -> bool:
    """Tell whether somebody who holds these names may do what `name` stands for."""
    return not set(held).isdisjoint(covering(name))


def end_of(name: str, role: str | None, granted: Mapping[str, float | None]) -> float | None:
    """Return when the last grant ends that gives `name`; None when one has no end, the role gives
    it too, or no grant does.

    Args:
        granted: The end of each permission that was granted; None: it has none.
    """
    giving = [granted[each] for each in covering(name) if each in granted]
    ends = [end for end in giving if end is not None]
    if not giving or len(ends) < len(giving):
        return None
    if role is not None and allows(permissions_of(Role(role)), name):
        return None
    return max(ends)


def roles_below(role: Role) -> tuple[Role, ...]:
    """Return a role and all below it, the lowest first."""
    order = list(Role)
    return tuple(order[: order.index(role) + 1])


def roles_above(role: Role) -> tuple[Role, ...]:
    """Return a role and all above it, the lowest first."""
    order = list(Role)
    return tuple(order[order.index(role) :])


def permissions_of(role: Role, added: Iterable[Permission] = ()) -> frozenset[str]:
    """Return the names a role has, without those its wildcards cover.

    Args:
        added: The application's own permissions.
    """
    below = set(roles_below(role))
    built_in = {name for each in below for name in OWN_PERMISSIONS[each]}
    return frozenset(built_in | {item.name for item in added if item.lowest_role in below})


def names_held(role: Role, added: Iterable[Permission], granted: Iterable[str]) -> list[str]:
    """Return the names an active member holds, sorted: by its role, by those below, by grants.

    A wildcard stands for itself: ask `allows`.

    Args:
        added: The application's own permissions.
        granted: Of the grants that count.
    """
    return sorted(permissions_of(role, added).union(granted))


def built_in() -> tuple[Permission, ...]:
    """Return the permissions that exist on every platform, by name."""
    of_roles = {
        name: Permission(name, "", role)
        for role, names in OWN_PERMISSIONS.items()
        for name in names
    }
    ours = {name: Permission(name, text) for name, text in PLATFORM_PERMISSIONS.items()}
    return tuple(item for _, item in sorted({**ours, **of_roles}.items()))


def existing(added: Iterable[Permission]) -> dict[str, Permission]:
    """Return the whole catalogue by name, with the wildcards above every name."""
    named = {item.name: item for item in (*added, *built_in())}
    for name in tuple(named):
        for above in covering(name):
            named.setdefault(above, Permission(above))
    return named


def is_administrative(name: str) -> bool:
    """Tell whether a name is the platform's own: what its admin API asks for, or `*`."""
    return name == EVERYTHING or name.partition(".")[0] in PLATFORM_AREAS


def is_wide(name: str) -> bool:
    """Tell whether a name is a wildcard, which holds what may be added later, or the platform's
    own: where roles get it, or Keto is told of it, a key needs `roles:write`."""
    return EVERYTHING in name or is_administrative(name)


@dataclass(frozen=True, slots=True, order=True)
class CatalogueTuple:
    """One fact in Keto about a permission itself, whose subject is a set.

    Attributes:
        permission: Object of namespace `Permission`.
        subject_namespace, subject_object, subject_relation: The set; a parent edge has an empty
            relation.
    """

    permission: str
    relation: str
    subject_namespace: str
    subject_object: str
    subject_relation: str


def catalogue_tuples(catalogue: Iterable[Permission]) -> frozenset[CatalogueTuple]:
    """List what Keto should hold of these permissions: their gate, what covers them, their roles.

    A grant to a role names one role, so that each role above gets its own tuple; admins have
    everything by `*` and need none.
    """
    return frozenset(item for each in catalogue for item in _tuples_of(each))


def _tuples_of(item: Permission) -> Iterator[CatalogueTuple]:
    yield CatalogueTuple(item.name, "platform", "Platform", "main", "")
    above = wider(item.name)
    if above is not None:
        yield CatalogueTuple(item.name, "covered", "Permission", above, "")
    if item.lowest_role is None:
        return
    for role in roles_above(item.lowest_role):
        if role is not Role.ADMIN or item.name == EVERYTHING:
            yield CatalogueTuple(item.name, "granted", "Platform", "main", ROLE_RELATIONS[role])
