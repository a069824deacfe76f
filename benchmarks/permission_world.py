"""A platform of some size as Keto and our tables hold it, and traffic that asks about it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import httpx
import psycopg

from policies.authority import ROLE_RELATIONS, Role
from policies.permission_questions import Question

_PATCH = 500
_COPY = "COPY members (identity_id, status, role, status_changed_at, registered_at) FROM STDIN"
_ROLES = (Role.USER,) * 90 + (Role.CREATOR,) * 7 + (Role.MODERATOR,) * 2 + (Role.ADMIN,)


@dataclass
class PlatformWorld:
    """Members, contents and their tuples; about ten tuples a member.

    Attributes:
        members: Ids, the most active first.
        contents: `(object, owner)`, the most wanted first.
    """

    count: int
    members: list[str] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)
    contents: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(1)
        self.members = [
            str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(self.count)
        ]
        self.roles = {member: chance.choice(_ROLES) for member in self.members}
        self.contents = [
            (f"content-{number}", chance.choice(self.members)) for number in range(self.count)
        ]

    def tuples(self) -> Iterator[dict[str, object]]:
        chance = random.Random(2)
        for member in self.members:
            yield _fact("Platform", "main", "active", member)
            yield _fact("Platform", "main", ROLE_RELATIONS[self.roles[member]], member)
        for name, owner in self.contents:
            yield _set("Content", name, "platform", "")
            yield _fact("Content", name, "owners", owner)
            yield _fact("Content", name, "editors", chance.choice(self.members))
            yield _fact("Content", name, "viewers", chance.choice(self.members))
            yield _fact("Content", name, "viewers", chance.choice(self.members))
            if chance.random() < 0.75:
                for relation in ("audience", "listing"):
                    for everybody in ("active", "guests"):
                        yield _set("Content", name, relation, everybody)

    def load(self, write_url: str, database_url: str) -> int:
        """Fill Keto and the table of members; return how many tuples there are."""
        tuples = list(self.tuples())
        chunks = [tuples[at : at + _PATCH] for at in range(0, len(tuples), _PATCH)]
        with httpx.Client(base_url=write_url, timeout=60, trust_env=False) as client:
            for chunk in chunks:
                body = [{"action": "insert", "relation_tuple": each} for each in chunk]
                client.patch("/admin/relation-tuples", json=body).raise_for_status()
        with (
            psycopg.connect(database_url) as connection,
            connection.cursor() as cursor,
            cursor.copy(_COPY) as copy,
        ):
            for member in self.members:
                copy.write_row((member, "active", self.roles[member], "now", "now"))
        return len(tuples)

    def traffic(self, *, seed: int, skew: float = 1.1) -> Iterator[Question]:
        """Yield questions by Zipf over ten different ones a member: most are asked rarely."""
        chance = random.Random(3)
        asked = self.different(10 * self.count, seed=4, relations=("view", "view", "find", "edit"))
        chance.shuffle(asked)
        draw = _Zipf(len(asked), skew, random.Random(seed))
        while True:
            yield asked[draw.draw()]

    def different(
        self, count: int, *, seed: int, relations: tuple[str, ...] = ("view",), among: int = 0
    ) -> list[Question]:
        """Return questions of which no two are equal.

        Args:
            among: About so many members only; 0: all.
        """
        chance = random.Random(seed)
        members = self.members[:among] if among else self.members
        found: dict[Question, None] = {}
        while len(found) < count:
            name, _ = chance.choice(self.contents)
            asked = Question(chance.choice(members), "Content", name, chance.choice(relations))
            found[asked] = None
        return list(found)


class _Zipf:
    """Draws ranks; the first is the most likely."""

    def __init__(self, count: int, skew: float, chance: random.Random) -> None:
        total, self._sums = 0.0, []
        for rank in range(1, count + 1):
            total += rank**-skew
            self._sums.append(total)
        self._chance = chance
        self._ranks = range(count)

    def draw(self) -> int:
        return self._chance.choices(self._ranks, cum_weights=self._sums)[0]


def _fact(namespace: str, name: str, relation: str, subject: str) -> dict[str, object]:
    return {
        "namespace": namespace,
        "object": name,
        "relation": relation,
        "subject_id": subject,
    }


def _set(namespace: str, name: str, relation: str, of_platform: str) -> dict[str, object]:
    subjects = {"namespace": "Platform", "object": "main", "relation": of_platform}
    return {"namespace": namespace, "object": name, "relation": relation, "subject_set": subjects}
