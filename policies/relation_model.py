"""The permission model as data: namespaces, relations with what they hold, permits.

Read from Keto's own file (`policies.opl`), so that what is validated and what is asked cannot
differ. `faults` are the house rules of that file; Keto itself would accept what breaks them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

SUBJECTS = "User"
"""The namespace whose members are plain `subject_id`s."""
MAX_NAME = 64
"""Longest name of a relation; PostgreSQL refuses longer ones in Keto v0.13 with a 500."""


@dataclass(frozen=True, slots=True)
class Includes:
    """The subject stands in this relation."""

    relation: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """Another permit of the same object allows."""

    permit: str


@dataclass(frozen=True, slots=True)
class Traverse:
    """A permit of an object at the other end of a parent edge allows."""

    relation: str
    permit: str


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in parentheses: Keto gives it a statement and a level of depth of its own."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class AnyOf:
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    operands: tuple["Expression", ...]


Expression: TypeAlias = Includes | Permitted | Traverse | Group | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class SubjectType:
    """What a relation may hold.

    Attributes:
        relation: Of a subject set; None for `User` (a plain subject) and for another class (a
            parent edge: a subject set with an empty relation).
    """

    namespace: str
    relation: str | None = None

    @property
    def is_plain(self) -> bool:
        return self.relation is None and self.namespace == SUBJECTS

    @property
    def is_edge(self) -> bool:
        return self.relation is None and self.namespace != SUBJECTS


@dataclass(frozen=True, slots=True)
class Relation:
    name: str
    types: tuple[SubjectType, ...]

    @property
    def is_edge(self) -> bool:
        return any(each.is_edge for each in self.types)


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    relations: Mapping[str, Relation]
    permits: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class RelationModel:
    namespaces: Mapping[str, Namespace]

    def relation(self, namespace: str, name: str) -> Relation | None:
        known = self.namespaces.get(namespace)
        return None if known is None else known.relations.get(name)

    def can_close_a_circle(self, namespace: str, relation: str) -> bool:
        """Tell whether edges of this relation can lead back to where they began."""
        found = self.relation(namespace, relation)
        if found is None:
            return False
        starts = {each.namespace for each in found.types if each.is_edge}
        return namespace in self._reachable(starts)

    def _reachable(self, starts: set[str]) -> set[str]:
        seen: set[str] = set()
        waiting = list(starts)
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.namespaces:
                continue
            seen.add(name)
            relations = self.namespaces[name].relations.values()
            waiting += [t.namespace for each in relations for t in each.types if t.is_edge]
        return seen


def terms(expression: Expression) -> Iterator[Includes | Permitted | Traverse]:
    """Yield every question an expression may ask, in written order."""
    match expression:
        case Group(inner):
            yield from terms(inner)
        case AnyOf(operands) | AllOf(operands):
            for each in operands:
                yield from terms(each)
        case Includes() | Permitted() | Traverse():
            yield expression


def faults(model: RelationModel) -> list[str]:
    """Return what breaks the house rules, one sentence each; nothing when all is well."""
    return [
        f"{namespace.name}: {fault}"
        for namespace in model.namespaces.values()
        for fault in _of_namespace(model, namespace)
    ]


def _of_namespace(model: RelationModel, namespace: Namespace) -> Iterator[str]:
    for name in (*namespace.relations, *namespace.permits):
        if len(name) > MAX_NAME:
            yield f"the name {name} is longer than {MAX_NAME} characters"
    for relation in namespace.relations.values():
        yield from _of_relation(model, relation)
    for name, expression in namespace.permits.items():
        for term in terms(expression):
            if (fault := _of_term(model, namespace, term)) is not None:
                yield f"{name} {fault}"
        yield from (f"{name} {fault}" for fault in _of_shape(expression))
        if name in _asked_by(namespace, name):
            yield f"{name} asks itself"


def _of_relation(model: RelationModel, relation: Relation) -> Iterator[str]:
    for each in relation.types:
        target = model.namespaces.get(each.namespace)
        if target is None:
            yield f"{relation.name} holds {each.namespace}, which is no class"
        elif each.relation is not None and each.relation not in target.relations:
            # A tuple written on a permit's name would grant there.
            yield f"{relation.name} names {each.namespace}#{each.relation}, which is no relation"
    if relation.is_edge and not all(each.is_edge for each in relation.types):
        yield f"{relation.name} mixes parent edges with subjects"


def _of_term(
    model: RelationModel, namespace: Namespace, term: Includes | Permitted | Traverse
) -> str | None:
    match term:
        case Permitted(permit):
            return None if permit in namespace.permits else f"asks {permit}, which is no permit"
        case Includes(name):
            relation = namespace.relations.get(name)
            if relation is None:
                return f"asks {name}, which is no relation"
            return f"includes the parent edge {name}" if relation.is_edge else None
        case Traverse(name, permit):
            relation = namespace.relations.get(name)
            if relation is None or not relation.is_edge:
                return f"traverses {name}, which is no parent edge"
            targets = [model.namespaces.get(each.namespace) for each in relation.types]
            if all(each is not None and permit in each.permits for each in targets):
                return None
            # Keto answers 400 to the whole check, or asks a relation instead.
            return f"traverses {name} to {permit}, which is no permit there"


def _of_shape(expression: Expression) -> Iterator[str]:
    """Costs that cannot be seen in an answer: see the rules at the head of the model."""
    operands: tuple[Expression, ...] = ()
    match expression:
        case AllOf(operands):
            yield from _of_conjunction(operands)
        case AnyOf(operands):
            if any(
                isinstance(each, Group) and not isinstance(each.inner, AllOf) for each in operands
            ):
                yield "has needless parentheses in a list of ||"
        case Group(inner):
            operands = (inner,)
        case _:
            pass
    for each in operands:
        yield from _of_shape(each)


def _of_conjunction(operands: tuple[Expression, ...]) -> Iterator[str]:
    if isinstance(operands[0], Group):
        yield "begins an && with parentheses: give the list a permit of its own"
    for each in operands[1:]:
        if isinstance(each, Includes | Permitted):
            yield "has a bare operand after &&: it is asked even when not needed"
        if isinstance(each, Group) and isinstance(each.inner, AnyOf):
            yield "has a list of || in parentheses: give it a permit of its own"


def _asked_by(namespace: Namespace, name: str) -> set[str]:
    """Return every permit of the same object that a permit asks, directly or not."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        expression = namespace.permits.get(waiting.pop())
        for term in terms(expression) if expression is not None else ():
            if isinstance(term, Permitted) and term.permit not in seen:
                seen.add(term.permit)
                waiting.append(term.permit)
    return seen
