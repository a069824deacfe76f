"""Which permissions come with a role."""

from policies.authority import Role

ROLE_PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.USER: frozenset({"content.view", "profile.edit"}),
    Role.CREATOR: frozenset({"content.view", "content.publish", "profile.edit"}),
    Role.MODERATOR: frozenset({"content.view", "content.moderate", "profile.edit"}),
    Role.ADMIN: frozenset({"*"}),
}
