"""`/api/permissions/explain`: the decision, and the way it came about.

Keto decides as for every check. The explanation reads the tuples around the question, within
bounds, and says when it did not see everything.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from integration.edge.database import Database
from integration.edge.decisions.upstream import DecisionUpstream
from integration.edge.problems import UPSTREAM_TEMPORARY, UPSTREAM_TIMEOUT, RefusedError
from policies.authority import PLATFORM_NAMESPACE
from policies.explanation_paths import Path, missing, paths
from policies.explanations import (
    MAX_OBJECTS,
    MAX_STEPS,
    Follower,
    Node,
    Object,
    ObjectFacts,
    SubjectSet,
)
from policies.permission_questions import UUID_FORM, Question
from policies.relation_model import RelationModel

_PAGE = 200
_AT_ONCE = 8
_GRANTS = """
SELECT permission, expires_at, reason FROM permission_grants
WHERE subject_id = %s AND revoked_at IS NULL AND expired_at IS NULL
AND (expires_at IS NULL OR expires_at > now())
"""

_ACTIVE = """
SELECT identity_id::text FROM members WHERE identity_id = ANY(%s::uuid[]) AND status = 'active'
"""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A followed question.

    Attributes:
        is_complete: Everything that mattered was seen.
    """

    tree: Node
    question: Question
    grants: Mapping[str, tuple[str | None, str]]
    is_complete: bool

    @property
    def paths(self) -> list[Path]:
        return paths(self.tree, self.question)

    def shown_paths(self) -> list[dict[str, object]]:
        """Return the ways that allow, those by a grant of ours with its end."""
        return [self._shown(each) for each in self.paths]

    def missing(self) -> list[str]:
        return missing(self.tree)

    def _shown(self, path: Path) -> dict[str, object]:
        shown: dict[str, object] = {
            "kind": path.kind,
            "text": f"The subject {path.text}.",
            "at": str(path.fact),
            "via": list(path.via),
        }
        grant = self.grants.get(path.fact.object.name)
        if grant is not None and path.fact.relation == "granted":
            until, reason = grant
            end = "" if until is None else f" until {until}"
            shown |= {
                "kind": "wildcard" if path.kind == "wildcard" else "grant",
                "text": f"The subject {path.text}, by a grant{end}.",
                "until": until,
                "grant_reason": reason,
            }
        return shown


class Explainer:
    """Follows questions through Keto's tuples."""

    def __init__(
        self,
        model: RelationModel,
        upstream: DecisionUpstream,
        database: Database,
        *,
        seconds: float,
    ) -> None:
        self._model = model
        self._seconds = seconds
        self._upstream = upstream
        self._database = database
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def explain(self, question: Question) -> Explanation:
        """Return how a question is answered by the tuples that Keto has now.

        Raises:
            RefusedError: Keto or the database does not answer, or not in time.
        """
        async with _in_time(self._seconds):
            tree, is_complete = await self._follow(question, question.subject)
            return Explanation(tree, question, await self._grants(question.subject), is_complete)

    async def reach(self, question: Question) -> tuple[list[dict[str, object]], bool]:
        """Return who could be allowed, one entry a way, and whether these are all.

        Each way is followed as if the subject stood in every relation. People are named where
        an object names them, up to a page each; roles and what is public are named as such.

        Raises:
            RefusedError: Keto or the database does not answer, or not in time.
        """
        async with _in_time(self._seconds):
            return await self._reach(question)

    async def _reach(self, question: Question) -> tuple[list[dict[str, object]], bool]:
        tree, is_complete = await self._follow(question, None)
        ways: list[dict[str, object]] = []
        for path in paths(tree, question):
            way: dict[str, object] = {"kind": path.kind, "at": str(path.fact)}
            if path.fact.object.namespace != PLATFORM_NAMESPACE:
                items, all_seen = await self._list(path.fact.object, relation=path.fact.relation)
                subjects = [str(each["subject_id"]) for each in items if "subject_id" in each]
                if not subjects:
                    continue
                way["subjects"] = await self._active(subjects)
                is_complete = is_complete and all_seen
            ways.append(way | {"text": f"Whoever {path.text}."})
        return ways, is_complete

    async def _follow(self, question: Question, subject: str | None) -> tuple[Node, bool]:
        """Load what is wanted until nothing is; without a subject as if it stood everywhere."""
        facts: dict[Object, ObjectFacts] = {}
        is_complete = True
        while True:
            follower = Follower(self._model, facts)
            tree = follower.follow(question)
            is_bounded = follower.steps > MAX_STEPS or len(facts) >= MAX_OBJECTS
            if not follower.wanted or is_bounded:
                return tree, is_complete and not is_bounded
            wanted = sorted(follower.wanted)[: MAX_OBJECTS - len(facts)]
            loaded = await asyncio.gather(*(self._facts(each, subject) for each in wanted))
            for target, (known, all_seen) in zip(wanted, loaded, strict=True):
                facts[target] = known
                is_complete = is_complete and all_seen

    async def _facts(self, target: Object, subject: str | None) -> tuple[ObjectFacts, bool]:
        """Return what Keto has of one object, and whether that is all that matters."""
        namespace = self._model.namespaces.get(target.namespace)
        relations = [] if namespace is None else list(namespace.relations.values())
        with_sets = [
            each.name for each in relations if not all(kind.is_plain for kind in each.types)
        ]
        sets = await asyncio.gather(*(self._list(target, relation=name) for name in with_sets))
        found: dict[str, tuple[SubjectSet, ...]] = {
            name: tuple(_sets(items)) for name, (items, _) in zip(with_sets, sets, strict=True)
        }
        all_seen = all(seen for _, seen in sets)
        if subject is None:
            everything = frozenset(each.name for each in relations if not each.is_edge)
            return ObjectFacts(everything, found), all_seen
        direct, direct_seen = await self._list(target, subject_id=subject)
        standing = frozenset(str(item["relation"]) for item in direct)
        return ObjectFacts(standing, found), all_seen and direct_seen

    async def _active(self, subjects: list[str]) -> list[str]:
        known = [each for each in subjects if UUID_FORM.match(each)]
        rows = await self._database.rows(_ACTIVE, (known,))
        return sorted(row[0] for row in rows)

    async def _list(self, target: Object, **more: str) -> tuple[list[dict[str, Any]], bool]:
        query = urlencode(
            {"namespace": target.namespace, "object": target.name, "page_size": _PAGE, **more}
        )
        async with self._slots:
            status, body = await self._upstream.ask_keto("/relation-tuples", query=query)
        if status != 200:
            raise RefusedError(UPSTREAM_TEMPORARY)
        try:
            document = json.loads(body)
            return list(document["relation_tuples"]), not document.get("next_page_token")
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(UPSTREAM_TEMPORARY) from error

    async def _grants(self, subject: str) -> dict[str, tuple[str | None, str]]:
        rows = await self._database.rows(_GRANTS, (subject,))
        return {
            name: (None if until is None else until.isoformat(), reason)
            for name, until, reason in rows
        }


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise RefusedError(UPSTREAM_TIMEOUT) from error


def _sets(items: Iterable[dict[str, Any]]) -> Iterable[SubjectSet]:
    for item in items:
        found = item.get("subject_set")
        if found is not None:
            yield SubjectSet(
                Object(found["namespace"], found["object"]), found.get("relation") or ""
            )


def shown_tree(node: Node) -> dict[str, object]:
    """Return a tree as clients see it."""
    shown: dict[str, object] = {"text": node.text, "allowed": node.allowed}
    if node.children:
        shown["children"] = [shown_tree(each) for each in node.children]
    return shown
