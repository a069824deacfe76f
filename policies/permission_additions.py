"""Which permissions an application may add to the catalogue."""

from collections.abc import Iterator, Mapping

from policies.decisions import Allow, Decision, Deny, Reason
from policies.grants import Granter
from policies.permissions import (
    EVERYTHING,
    PLATFORM_AREAS,
    Permission,
    allows,
    check_name,
    is_administrative,
    is_wide,
)

MAX_DESCRIPTION = 500


def decide_addition(
    new: Permission, granter: Granter, catalogue: Mapping[str, Permission]
) -> Decision:
    """Decide whether `new` may be added.

    Returns:
        Allow; or a denial: `permission_name_invalid`, `permission_name_reserved` (the platform's
        own areas), `permission_exists`, `description_too_long`, `scope_missing`,
        `permission_not_held`.
    """
    if invalid := check_name(new.name):
        return invalid
    reasons = tuple(_against(new, granter, catalogue))
    return Deny(reasons) if reasons else Allow()


def _against(
    new: Permission, granter: Granter, catalogue: Mapping[str, Permission]
) -> Iterator[Reason]:
    if is_administrative(new.name):
        text = f"Names below {', '.join(sorted(PLATFORM_AREAS))} belong to the platform."
        yield Reason("permission_name_reserved", text, "#/name")
    elif new.name in catalogue and not _is_bare_wildcard(catalogue[new.name]):
        yield Reason("permission_exists", "There is a permission of this name.", "#/name")
    else:
        yield from against_scope(new, granter)
    if len(new.description) > MAX_DESCRIPTION:
        text = f"Describe it in at most {MAX_DESCRIPTION} characters."
        yield Reason("description_too_long", text, "#/description")
    # What is added stays, so that a grant with an end would outlive itself in it.
    held = [item.name for item in granter.holds if item.until is None]
    if granter.subject_id is not None and not allows(held, new.name):
        # Whoever adds it also says which role has it from then on.
        text = "You can only add what you would hold yourself."
        yield Reason("permission_not_held", text, "#/name")


def against_scope(permission: Permission, granter: Granter) -> Iterator[Reason]:
    """Yield why a key may not give this to its roles, or take it from them: as for a tuple."""
    is_plain_key = granter.subject_id is None and not granter.administers
    if is_plain_key and permission.lowest_role is not None and is_wide(permission.name):
        text = "Roles get wildcards from keys of scope roles:write alone."
        yield Reason("scope_missing", text, "#/name")


def _is_bare_wildcard(known: Permission) -> bool:
    """Wildcards above a name exist by themselves, without anybody having added them."""
    return known.name.endswith(f".{EVERYTHING}") and known == Permission(known.name)
