"""Who the demo members are."""

from collections.abc import Mapping
from typing import TypedDict

from integration.launch.credentials import DEMO_ROLES


class DemoMember(TypedDict):
    """One entry of `demo_members` in `stack.json`; promised names."""

    role: str
    email: str
    username: str
    password: str


def demo_members(passwords: Mapping[str, str]) -> list[DemoMember]:
    return [
        DemoMember(
            role=role,
            email=f"{role}@kleis.example",
            username=f"demo-{role}",
            password=passwords[role],
        )
        for role in DEMO_ROLES
    ]
