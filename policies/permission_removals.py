"""Which permissions may be taken out of the catalogue, and what Keto was told about them."""

from collections.abc import Iterable, Iterator

from policies.decisions import Allow, Decision, Deny, Reason
from policies.grants import Granter
from policies.permission_additions import against_scope
from policies.permissions import (
    CatalogueTuple,
    Permission,
    allows,
    catalogue_tuples,
    covering,
    existing,
)


def vanishing(name: str, added: Iterable[Permission]) -> frozenset[str]:
    """Return the names that exist no more without `name`: itself, and wildcards above nothing
    else."""
    known = tuple(added)
    left = existing(item for item in known if item.name != name)
    return frozenset(existing(known).keys() - left.keys())


def decide_removal(added: Permission, granter: Granter, *, granted: int) -> Decision:
    """Decide whether a permission of the application may go.

    Args:
        granted: How many grants count of the names that vanish with it.

    Returns:
        Allow; or a denial: `permission_granted`, `scope_missing`, `permission_not_held`.
    """
    reasons = (*against_scope(added, granter), *_against(added.name, granter, granted))
    return Deny(reasons) if reasons else Allow()


def _against(name: str, granter: Granter, granted: int) -> Iterator[Reason]:
    if granted:
        text = f"It is granted {granted} times: revoke these first."
        yield Reason("permission_granted", text, "#/name")
    held = [item.name for item in granter.holds]
    if granter.subject_id is not None and not allows(held, name):
        yield Reason("permission_not_held", "You can only remove what you hold yourself.", "#/name")


def told_of(removed: Iterable[Permission]) -> frozenset[CatalogueTuple]:
    """Return what Keto was told about permissions while they existed, wildcards above included."""
    return catalogue_tuples(
        item if name == item.name else Permission(name)
        for item in removed
        for name in covering(item.name)
    )
