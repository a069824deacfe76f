"""Worlds as Keto is told of them, and random ones."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hypothesis import strategies as st

from policies.authority import GUEST_SUBJECT, ROLE_RELATIONS, Role
from tests.keto.reference import GUEST, ROLES, World

ACTIONS = {
    "platform": ("enter", "participate", "create", "moderate", "administer"),
    "channel": ("moderate", "manage"),
    "content": ("view", "find", "edit", "remove", "share"),
    "profile": ("view", "update"),
    "permission": ("use",),
}
PEOPLE = ("ada", "ben", "cleo", "dan")
CHANNELS = ("root", "news", "daily", "late")
CONTENTS = ("song", "film")
PROFILES = ("page",)
PERMISSIONS = ("*", "content.*", "content.publish")
THINGS = {
    "platform": ("main",),
    "channel": CHANNELS,
    "content": CONTENTS,
    "profile": PROFILES,
    "permission": PERMISSIONS,
}


class Telling:
    """Names of one world, made unlike those of any other: all share one Keto."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def subject(self, name: str) -> str:
        return GUEST_SUBJECT if name == GUEST else str(uuid5(NAMESPACE_URL, self._seed + name))

    def object(self, name: str) -> str:
        return "main" if name == "main" else f"{self._seed}:{name}"

    def asked(self, who: str, action: str, kind: str, thing: str) -> dict[str, Any]:
        return {
            "namespace": kind.capitalize(),
            "object": self.object(thing),
            "relation": action,
            "subject_id": self.subject(who),
        }

    def tuples(self, world: World) -> list[dict[str, Any]]:
        """Return everything Keto has to know of a world."""
        return [
            *(self._fact("Platform", "main", "active", who) for who in sorted(world.active)),
            *(
                self._fact("Platform", "main", ROLE_RELATIONS[Role(role)], who)
                for who, roles in world.roles.items()
                for role in sorted(roles)
            ),
            *self._edges(world),
            *self._people(world),
            *self._shown(world),
            *self._granted(world),
        ]

    def _edges(self, world: World) -> list[dict[str, Any]]:
        plugged = [
            (kind.capitalize(), thing)
            for kind, things in THINGS.items()
            for thing in things
            if kind != "platform" and thing not in world.unplugged
        ]
        return [
            *(self._edge(kind, thing, "platform", "Platform", "main") for kind, thing in plugged),
            *self._all_edges("Channel", "within", "Channel", world.parents),
            *self._all_edges("Content", "channels", "Channel", world.channel_of),
            *self._all_edges("Permission", "covered", "Permission", world.wider),
        ]

    def _people(self, world: World) -> list[dict[str, Any]]:
        held = [
            ("Channel", "owners", world.channel_owners),
            ("Channel", "moderators", world.channel_moderators),
            ("Content", "editors", world.editors),
            ("Content", "viewers", world.viewers),
        ]
        facts = [
            self._fact(namespace, thing, relation, who)
            for namespace, relation, holders in held
            for thing, people in holders.items()
            for who in sorted(people)
        ]
        for thing, people in world.owners.items():
            namespace = "Profile" if thing in PROFILES else "Content"
            facts += [self._fact(namespace, thing, "owners", who) for who in sorted(people)]
        return facts

    def _shown(self, world: World) -> list[dict[str, Any]]:
        found = []
        for thing, kind in world.visibility.items():
            namespace = "Profile" if thing in PROFILES else "Content"
            relations = {"public": ["audience", "listing"], "unlisted": ["audience"]}.get(kind, [])
            found += [
                self._edge(namespace, thing, relation, "Platform", "main", of=everybody)
                for relation in relations
                if (namespace, relation) != ("Profile", "listing")
                for everybody in ("active", "guests")
            ]
        return found

    def _granted(self, world: World) -> list[dict[str, Any]]:
        found = []
        for name, holders in world.granted.items():
            for holder in sorted(holders):
                if holder.startswith("role:"):
                    relation = ROLE_RELATIONS[Role(holder.removeprefix("role:"))]
                    found.append(
                        self._edge("Permission", name, "granted", "Platform", "main", of=relation)
                    )
                else:
                    found.append(self._fact("Permission", name, "granted", holder))
        return found

    def _all_edges(
        self, namespace: str, relation: str, target: str, edges: dict[str, set[str]]
    ) -> list[dict[str, Any]]:
        return [
            self._edge(namespace, thing, relation, target, parent)
            for thing, parents in edges.items()
            for parent in sorted(parents)
        ]

    def _fact(self, namespace: str, thing: str, relation: str, who: str) -> dict[str, Any]:
        return {
            "namespace": namespace,
            "object": self.object(thing),
            "relation": relation,
            "subject_id": self.subject(who),
        }

    def _edge(
        self, namespace: str, thing: str, relation: str, kind: str, other: str, *, of: str = ""
    ) -> dict[str, Any]:
        return {
            "namespace": namespace,
            "object": self.object(thing),
            "relation": relation,
            "subject_set": {"namespace": kind, "object": self.object(other), "relation": of},
        }


def _some(names: tuple[str, ...]) -> st.SearchStrategy[set[str]]:
    return st.sets(st.sampled_from(names), max_size=len(names))


def _each(
    names: tuple[str, ...], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict.fromkeys(names, values))


def _upwards(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, set[str]]]:
    """Edges that only lead to earlier names: no circles."""
    return st.fixed_dictionaries({name: _some(names[:at]) for at, name in enumerate(names) if at})


HOLDERS = (*PEOPLE, *(f"role:{role}" for role in ROLES))

worlds = st.builds(
    World,
    active=_some(PEOPLE),
    # One role each, as we write them; none or two may stand there all the same.
    roles=_each(PEOPLE, st.sets(st.sampled_from(ROLES), max_size=2)),
    parents=_upwards(CHANNELS),
    channel_owners=_each(CHANNELS, _some(PEOPLE)),
    channel_moderators=_each(CHANNELS, _some(PEOPLE)),
    channel_of=_each(CONTENTS, _some(CHANNELS)),
    owners=_each((*CONTENTS, *PROFILES), _some(PEOPLE)),
    editors=_each(CONTENTS, _some(PEOPLE)),
    viewers=_each(CONTENTS, _some(PEOPLE)),
    visibility=_each((*CONTENTS, *PROFILES), st.sampled_from(("public", "unlisted", "private"))),
    unplugged=_some((*CHANNELS, *CONTENTS, *PROFILES, *PERMISSIONS)),
    wider=_upwards(PERMISSIONS),
    granted=_each(PERMISSIONS, _some(HOLDERS)),
)
