"""What may be done, said in plain Python from what the rules mean - not from how Keto is told.

A world is a few sets of facts. Nothing here knows of tuples, permits' names inside the model, depth
or strict mode: where this and Keto disagree, one of them is wrong.
"""

from dataclasses import dataclass, field

ROLES = ("user", "creator", "moderator", "admin")
GUEST = "guest"


@dataclass
class World:
    """Names stand for people and things.

    Attributes:
        active: Who may act at all.
        roles: What people are; may be more than one, or missing.
        parents: Of channels, upwards.
        channel_of: The channels a thing lies in.
        visibility: Of contents and profiles: `public`, `unlisted` or `private`.
        unplugged: Channels, contents, profiles, permissions that nobody tied to the platform.
        wider: Of permissions, the next wider ones.
        granted: Of permissions: people, and roles as `role:admin`.
    """

    active: set[str] = field(default_factory=set)
    roles: dict[str, set[str]] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)
    channel_owners: dict[str, set[str]] = field(default_factory=dict)
    channel_moderators: dict[str, set[str]] = field(default_factory=dict)
    channel_of: dict[str, set[str]] = field(default_factory=dict)
    owners: dict[str, set[str]] = field(default_factory=dict)
    editors: dict[str, set[str]] = field(default_factory=dict)
    viewers: dict[str, set[str]] = field(default_factory=dict)
    visibility: dict[str, str] = field(default_factory=dict)
    unplugged: set[str] = field(default_factory=set)
    wider: dict[str, set[str]] = field(default_factory=dict)
    granted: dict[str, set[str]] = field(default_factory=dict)

    def may(self, who: str, action: str, kind: str, thing: str = "") -> bool:
        """Answer one question, such as `may("ada", "edit", "content", "song")`."""
        question = getattr(self, f"_{kind}")
        return bool(question(who, action, thing))

    def _is(self, who: str, *roles: str) -> bool:
        return bool(self.roles.get(who, set()) & set(roles))

    def _platform(self, who: str, action: str, _: str) -> bool:
        if who not in self.active:
            return False
        at_least = {
            "enter": True,
            "participate": self._is(who, *ROLES),
            "create": self._is(who, "creator", "moderator", "admin"),
            "moderate": self._is(who, "moderator", "admin"),
            "administer": self._is(who, "admin"),
        }
        return at_least[action]

    def _acts(self, who: str, thing: str) -> bool:
        return who in self.active and thing not in self.unplugged

    def _above(self, channel: str) -> set[str]:
        """Return a channel and everything it lies in, directly or not."""
        found = {channel}
        for parent in self.parents.get(channel, ()):
            found |= self._above(parent)
        return found

    def _oversees(self, who: str, channel: str) -> bool:
        return any(
            who in self.channel_owners.get(each, ()) or who in self.channel_moderators.get(each, ())
            for each in self._above(channel)
        )

    def _channel(self, who: str, action: str, channel: str) -> bool:
        if not self._acts(who, channel):
            return False
        if action == "manage":
            return who in self.channel_owners.get(channel, ()) or self._is(who, "admin")
        return self._oversees(who, channel) or self._is(who, "moderator", "admin")

    def _is_shown(self, who: str, thing: str, *kinds: str) -> bool:
        """Everybody active, and the guest, sees what is public; nobody else sees anything."""
        return self.visibility.get(thing) in kinds and (who in self.active or who == GUEST)

    def _content(self, who: str, action: str, thing: str) -> bool:
        if action == "view" and self._is_shown(who, thing, "public", "unlisted"):
            return True
        if action == "find" and self._is_shown(who, thing, "public"):
            return True
        if not self._acts(who, thing):
            return False
        owns = who in self.owners.get(thing, ())
        edits = who in self.editors.get(thing, ())
        views = who in self.viewers.get(thing, ())
        admin, staff = self._is(who, "admin"), self._is(who, "moderator", "admin")
        oversees = any(self._oversees(who, each) for each in self.channel_of.get(thing, ()))
        rights = {
            "share": owns or admin,
            "edit": owns or edits or admin,
            "remove": owns or staff or oversees,
            "view": owns or edits or views or staff or oversees,
            "find": owns or edits or views or staff or oversees,
        }
        return rights[action]

    def _profile(self, who: str, action: str, thing: str) -> bool:
        if action == "view" and self._is_shown(who, thing, "public", "unlisted"):
            return True
        if not self._acts(who, thing):
            return False
        owns = who in self.owners.get(thing, ())
        if action == "update":
            return owns or self._is(who, "admin")
        return owns or self._is(who, "moderator", "admin")

    def _permission(self, who: str, _: str, name: str) -> bool:
        """The gate counts at the permission that is asked, holders at it and all wider ones."""
        return self._acts(who, name) and self._holds(who, name)

    def _holds(self, who: str, name: str) -> bool:
        holders = self.granted.get(name, set())
        by_role = {holder.removeprefix("role:") for holder in holders if holder.startswith("role:")}
        if who in holders or self._is(who, *by_role):
            return True
        return any(self._holds(who, each) for each in self.wider.get(name, ()))
