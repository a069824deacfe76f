"""What a followed question comes to: the ways that allow, or what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from policies import explanation_words
from policies.authority import GATE, PLATFORM_NAMESPACE
from policies.explanations import Node, Object, SubjectSet, phrase
from policies.permission_questions import Question


@dataclass(frozen=True, slots=True)
class Path:
    """One way that allows.

    Attributes:
        kind: `role`, `direct`, `wildcard`, `owner`, `editor`, `viewer`, `moderator`, `public`
            or `gate`. Whether a `direct` one is a grant with an end, our tables know.
        fact: Where the subject stands.
        via: The steps that led there, outermost first.
    """

    kind: str
    fact: SubjectSet
    text: str
    via: tuple[str, ...]


ORDER = ("role", "direct", "wildcard", "grant", "owner", "editor", "viewer", "moderator", "public")
"""The order in which a path is named as the reason: that of the specification."""


def paths(tree: Node, question: Question) -> list[Path]:
    """Return every way that allows, in the order of the specification; none when it is denied."""
    if not tree.allowed:
        return []
    asked = Object(question.namespace, question.object)
    found: dict[tuple[str, SubjectSet], Path] = {}
    for leaf, via in _allowing(tree, ()):
        if leaf.fact is None:
            continue
        kind = _kind(leaf.fact, via, asked)
        text = _sentence(leaf, via, asked)
        found.setdefault((kind, leaf.fact), Path(kind, leaf.fact, text, tuple(n.text for n in via)))
    ways = [each for each in found.values() if each.kind != "gate"] or list(found.values())
    return sorted(ways, key=lambda each: (_rank(each.kind), each.text))


def missing(tree: Node) -> list[str]:
    """Return what would have allowed, had it been so; nothing when it is allowed.

    Behind an `all of` only what stands in the way is named.
    """
    return list(dict.fromkeys(_lacking(tree)))


def _allowing(node: Node, via: tuple[Node, ...]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield the leaves that allow, each with what is above it."""
    if not node.allowed:
        return
    children = [child for child in node.children if child.allowed]
    if not children:
        yield node, via
    for child in children:
        yield from _allowing(child, (*via, node))


def _lacking(node: Node) -> Iterator[str]:
    if node.allowed:
        return
    if node.fact is not None or not node.children:
        if not node.is_optional:
            yield _lack(node)
        return
    for child in node.children:
        yield from _lacking(child)


def _lack(node: Node) -> str:
    if node.fact is None:
        return node.text
    return explanation_words.lacks(*node.fact.object, node.fact.relation)


def _kind(fact: SubjectSet, via: tuple[Node, ...], asked: Object) -> str:
    """Name a way. `via` ends with the set that the leaf was found in, if it was in one."""
    inside = next((node.fact for node in reversed(via) if node.fact is not None), None)
    if inside is not None and inside.relation in ("audience", "listing"):
        return "public"
    granted = fact if fact.relation == "granted" else inside
    if granted is not None and granted.relation == "granted":
        if granted.object != asked:
            return "wildcard"
        return "direct" if inside is None else "role"
    if fact.object.namespace == PLATFORM_NAMESPACE:
        return "gate" if fact.relation == GATE else "role"
    return explanation_words.NOUNS.get(fact.relation, fact.relation)


def _sentence(leaf: Node, via: tuple[Node, ...], asked: Object) -> str:
    inside = next((node.fact for node in reversed(via) if node.fact is not None), None)
    if inside is None:
        held = leaf.fact
        text = leaf.text
    else:
        held = inside
        text = f"{leaf.text}, which {phrase(inside)}"
    if held is not None and held.relation == "granted" and held.object != asked:
        return f"{text}, which covers {asked.name}"
    return text


def _rank(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
