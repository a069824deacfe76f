"""Deleting every tuple that matches: what a query names, and which ones are too dangerous."""

from collections.abc import Mapping
from dataclasses import dataclass

from policies.authority import PLATFORM_NAMESPACE, PLATFORM_OBJECT
from policies.decisions import Deny, Reason
from policies.relation_model import RelationModel
from policies.relationships import Relationship, SubjectSet, read
from policies.role_writes import is_wide_permission

MAX_MATCHES = 100_000
"""Tuples that one DELETE may match: they are read first, so that who loses something is known."""

_SET = "subject_set."
_SET_NAMES = frozenset({f"{_SET}namespace", f"{_SET}object", f"{_SET}relation"})
_NAMES = frozenset({"namespace", "object", "relation", "subject_id"}) | _SET_NAMES


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a DELETE names; None: whatever it is."""

    namespace: str
    object: str | None = None
    relation: str | None = None
    subject: str | SubjectSet | None = None

    @property
    def is_of_authority(self) -> bool:
        """Whether it may match a role or the gate of somebody."""
        return self.namespace == PLATFORM_NAMESPACE and self.object in (None, PLATFORM_OBJECT)

    @property
    def needs_roles(self) -> bool:
        """Whether the key needs `roles:write`."""
        return self.is_of_authority or is_wide_permission(self.namespace, self.object)

    def to_relationship(self) -> Relationship | None:
        """Return the one tuple it can match; None when there may be several."""
        if self.object is None or self.relation is None or self.subject is None:
            return None
        return Relationship(self.namespace, self.object, self.relation, self.subject)

    def to_query(self) -> dict[str, str]:
        """Return it as the names and values of an address."""
        found = {
            "namespace": self.namespace,
            "object": self.object,
            "relation": self.relation,
        }
        if isinstance(self.subject, SubjectSet):
            inner = self.subject
            found[f"{_SET}namespace"] = inner.namespace
            found[f"{_SET}object"] = inner.object
            found[f"{_SET}relation"] = inner.relation
        else:
            found["subject_id"] = self.subject
        return {name: value for name, value in found.items() if value is not None}


def decide_delete(
    model: RelationModel, query: Mapping[str, str], *, confirmed: str | None
) -> Pattern | Deny:
    """Judge a DELETE.

    Args:
        query: Names and values, each name once.
        confirmed: The namespace that the caller says may be emptied.
    """
    for name in query:
        if name not in _NAMES:
            return _deny("field_unknown", f"A tuple has no field {ascii(name)[:60]}.")
    if not query.get("namespace"):
        return _deny("namespace_missing", "Name the namespace to delete from.")
    pattern = _pattern(query)
    if isinstance(pattern, Deny):
        return pattern
    if pattern.namespace not in model.namespaces:
        text = f"There is no namespace {ascii(pattern.namespace)[:60]}."
        return _deny("namespace_unknown", text)
    is_whole = pattern == Pattern(pattern.namespace)
    if is_whole and not pattern.is_of_authority and confirmed != pattern.namespace:
        text = f"This empties {pattern.namespace}. Say so: X-Kleis-Confirm: {pattern.namespace}"
        return _deny("confirmation_required", text)
    return pattern


def decide_authority_pattern(pattern: Pattern) -> Relationship | Deny:
    """Return the one role of one member that a pattern of authority names."""
    named = pattern.to_relationship()
    if named is None:
        text = (
            f"Roles end one by one: name object, relation and subject_id in {PLATFORM_NAMESPACE}."
        )
        return _deny("authority_by_pattern", text)
    return named


def _pattern(query: Mapping[str, str]) -> Pattern | Deny:
    given = _SET_NAMES & query.keys()
    if given and "subject_id" in query:
        return _deny("subject_ambiguous", "Name one subject: subject_id or subject_set.")
    if given and given != _SET_NAMES:
        return _deny("subject_missing", "A subject_set is named by all three of its fields.")
    # Names are judged as those of a tuple are.
    subject = {"subject_id": query.get("subject_id", "any")}
    if given:
        inner = {name.removeprefix(_SET): query[name] for name in _SET_NAMES}
        whole = read(_whole(query) | {"subject_set": inner})
    else:
        whole = read(_whole(query) | subject)
    if isinstance(whole, Deny):
        return whole
    is_subject_named = bool(given) or "subject_id" in query
    return Pattern(
        namespace=whole.namespace,
        object=query.get("object"),
        relation=query.get("relation"),
        subject=whole.subject if is_subject_named else None,
    )


def _whole(query: Mapping[str, str]) -> dict[str, object]:
    return {name: query.get(name, "") for name in ("namespace", "object", "relation")}


def _deny(code: str, text: str) -> Deny:
    return Deny((Reason(code, text),))
