"""Why somebody may do something, or what is missing: the model followed step by step.

Pure: facts that were not loaded yet are named, and the caller loads them and asks again. Keto
decides; this explains, from the same tuples and the same model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from policies import explanation_words
from policies.permission_questions import Question
from policies.relation_model import (
    AllOf,
    AnyOf,
    Expression,
    Group,
    Includes,
    Permitted,
    RelationModel,
    Traverse,
)

MAX_DEPTH = 10
"""As Keto is configured (`limit.max_read_depth`)."""
MAX_OBJECTS = 100
MAX_STEPS = 3000
# Most objects have no channel, no parent, no wildcard above them.
_OPTIONAL = frozenset({"channels", "within", "covered"})


class Object(NamedTuple):
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}"


class SubjectSet(NamedTuple):
    """Everybody in a relation of an object; with an empty relation a parent edge to it."""

    object: Object
    relation: str

    def __str__(self) -> str:
        return f"{self.object}#{self.relation}"


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What Keto holds of one object.

    Attributes:
        direct: Relations that the subject itself stands in.
        sets: Subject sets and parent edges, by relation.
    """

    direct: frozenset[str]
    sets: Mapping[str, tuple[SubjectSet, ...]]


@dataclass(frozen=True, slots=True)
class Node:
    """One step.

    Attributes:
        text: What is asked, as a phrase behind the subject: `is owner of Content:abc`.
        fact: The relation of a leaf.
        is_optional: It is no fault of the object that it has none of this.
    """

    text: str
    allowed: bool
    children: tuple["Node", ...] = ()
    fact: SubjectSet | None = None
    is_optional: bool = False


@dataclass(slots=True)
class Follower:
    """Follows the model through the facts that are there.

    Attributes:
        wanted: Objects whose facts would be needed, after `follow`.
        steps: How many permits were looked at; beyond `MAX_STEPS` the rest counts as no.
    """

    model: RelationModel
    facts: Mapping[Object, ObjectFacts]
    wanted: set[Object] = field(default_factory=set)
    steps: int = 0

    def follow(self, question: Question) -> Node:
        """Return the tree for a question; what is not known counts as no."""
        target = Object(question.namespace, question.object)
        if self.model.relation(target.namespace, question.relation) is not None:
            return self._includes(SubjectSet(target, question.relation), 0)
        return self._permit(target, question.relation, 0)

    def _permit(self, target: Object, permit: str, depth: int) -> Node:
        text = explanation_words.may(*target, permit)
        namespace = self.model.namespaces.get(target.namespace)
        expression = None if namespace is None else namespace.permits.get(permit)
        self.steps += 1
        if expression is None or depth > MAX_DEPTH or self.steps > MAX_STEPS:
            return Node(text, allowed=False)
        inner = self._expression(target, expression, depth + 1)
        return Node(text, inner.allowed, (inner,))

    def _expression(self, target: Object, expression: Expression, depth: int) -> Node:
        match expression:
            case Group(inner):
                return self._expression(target, inner, depth)
            case AnyOf(operands):
                children = tuple(self._expression(target, each, depth) for each in operands)
                return Node("one of", any(each.allowed for each in children), children)
            case AllOf(operands):
                # Keto looks at what stands on both sides of an && a level deeper.
                children = tuple(self._expression(target, each, depth + 1) for each in operands)
                return Node("all of", all(each.allowed for each in children), children)
            case Permitted(permit):
                return self._permit(target, permit, depth)
            case Traverse(relation, permit):
                return self._traverse(target, relation, permit, depth)
            case Includes(relation):
                return self._includes(SubjectSet(target, relation), depth)

    def _traverse(self, target: Object, relation: str, permit: str, depth: int) -> Node:
        edges = self._known(target).sets.get(relation, ())
        if not edges:
            is_optional = relation in _OPTIONAL
            return Node(f"{target} has no {relation}", allowed=False, is_optional=is_optional)
        children = tuple(self._permit(each.object, permit, depth) for each in edges)
        text = f"through {relation} of {target}"
        return Node(text, any(each.allowed for each in children), children)

    def _includes(self, fact: SubjectSet, depth: int, above: tuple[SubjectSet, ...] = ()) -> Node:
        """Look at a relation, and at the sets in it: as Keto does, each a level deeper.

        Args:
            above: The sets that it was found in. One of them again closes a circle and adds nobody.
        """
        self.steps += 1
        if fact in above or depth >= MAX_DEPTH or self.steps > MAX_STEPS:
            return Node(phrase(fact), allowed=False, fact=fact)
        known = self._known(fact.object)
        members = tuple(
            self._set(each, depth + 1, (*above, fact))
            for each in known.sets.get(fact.relation, ())
            if each.relation
        )
        direct = fact.relation in known.direct
        return Node(phrase(fact), direct or any(each.allowed for each in members), members, fact)

    def _set(self, found: SubjectSet, depth: int, above: tuple[SubjectSet, ...]) -> Node:
        """Look at a set in a relation; one of a permit, written past the edge, as Keto asks it."""
        namespace = self.model.namespaces.get(found.object.namespace)
        if namespace is not None and found.relation in namespace.permits:
            return self._permit(found.object, found.relation, depth)
        return self._includes(found, depth, above)

    def _known(self, target: Object) -> ObjectFacts:
        found = self.facts.get(target)
        if found is None:
            self.wanted.add(target)
            return _NOTHING
        return found


_NOTHING = ObjectFacts(frozenset(), {})


def phrase(fact: SubjectSet) -> str:
    """Say what it means to stand in a relation, behind `the subject`."""
    return explanation_words.holds(*fact.object, fact.relation)
