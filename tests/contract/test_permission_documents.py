"""The page on permissions says what the policies say."""

import re
from pathlib import Path

from policies.authority import Role
from policies.permissions import OWN_PERMISSIONS, PLATFORM_AREAS, existing

PAGE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()


def test_the_table_of_roles_is_that_of_the_policy():
    rows = re.findall(r"^\| `(\w+)` \| (`.*`) \|$", PAGE, re.MULTILINE)
    shown = {
        role: tuple(re.findall(r"`([^`]+)`", names))
        for role, names in rows
        if role in set(map(str, Role))
    }
    assert shown == {str(role): names for role, names in OWN_PERMISSIONS.items()}


def test_the_reserved_areas_are_those_of_the_policy():
    listed = re.search(r"platform's areas \(([^)]*)\)", PAGE)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == PLATFORM_AREAS


def test_every_permission_of_the_admin_api_exists():
    table = PAGE[PAGE.index("### Who may use the admin API") :]
    named = set(re.findall(r"`(\w+\.(?:read|write))`", table[: table.index("### The audit log")]))
    assert named
    assert named <= existing([]).keys()
