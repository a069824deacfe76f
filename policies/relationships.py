"""A fact about any object, as clients write it, and whether the model has a place for it.

Keto v0.13 stores whatever it is sent: relations that do not exist, names of permits, subject sets
that a relation does not name, some of which grant. What is refused here is never written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.authority import PLATFORM_NAMESPACE, PLATFORM_OBJECT
from policies.decisions import Deny, Reason
from policies.relation_model import Relation, RelationModel

MAX_STORED = 1000
"""Characters of a name in what may be deleted: more than may be written."""

_OBJECT = re.compile(r"[A-Za-z0-9._~:*-]{1,128}")
_SUBJECT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[\ud800-\udfff]")
_FIELDS = frozenset({"namespace", "object", "relation", "subject_id", "subject_set"})
_SET_FIELDS = frozenset({"namespace", "object", "relation"})


@dataclass(frozen=True, slots=True, order=True)
class SubjectSet:
    """Everybody in a relation of an object; with an empty relation the object itself."""

    namespace: str
    object: str
    relation: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.object}#{self.relation}"


@dataclass(frozen=True, slots=True)
class Relationship:
    """One tuple.

    Attributes:
        subject: A `subject_id`, or a subject set.
    """

    namespace: str
    object: str
    relation: str
    subject: str | SubjectSet

    def __str__(self) -> str:
        return f"{self.namespace}:{self.object}#{self.relation}@{self.subject}"

    def to_json(self) -> dict[str, Any]:
        """Return it in Ory's shape."""
        subject: dict[str, Any]
        if isinstance(self.subject, str):
            subject = {"subject_id": self.subject}
        else:
            inner = self.subject
            subject = {
                "subject_set": {
                    "namespace": inner.namespace,
                    "object": inner.object,
                    "relation": inner.relation,
                }
            }
        return {
            "namespace": self.namespace,
            "object": self.object,
            "relation": self.relation,
            **subject,
        }


def read(document: object) -> Relationship | Deny:
    """Return the tuple that a document in Ory's shape describes, or why it describes none."""
    if not isinstance(document, Mapping):
        return _deny("tuple_malformed", "A tuple is an object.")
    if (fault := _unknown(document, _FIELDS)) is not None:
        return fault
    given = [name for name in ("subject_id", "subject_set") if document.get(name) is not None]
    if len(given) != 1:
        code = "subject_ambiguous" if given else "subject_missing"
        return _deny(code, "A tuple has one subject: subject_id or subject_set.")
    names = [document.get(name) for name in ("namespace", "object", "relation")]
    subject = document[given[0]]
    if given[0] == "subject_set":
        if not isinstance(subject, Mapping):
            return _deny("tuple_malformed", "A subject_set is an object.")
        if (fault := _unknown(subject, _SET_FIELDS)) is not None:
            return fault
        inner = [subject.get("namespace"), subject.get("object"), subject.get("relation", "")]
    else:
        inner = [subject]
    if (fault := _unusable(*names, *inner)) is not None:
        return fault
    plain = [str(each) for each in inner]
    made = plain[0] if given[0] == "subject_id" else SubjectSet(*plain)
    return Relationship(str(names[0]), str(names[1]), str(names[2]), made)


def decide_insert(model: RelationModel, wanted: Relationship) -> Deny | None:
    """Refuse a tuple that the model has no place for; None when it has one."""
    relation = _place(model, wanted)
    if isinstance(relation, Deny):
        return relation
    if not _OBJECT.fullmatch(wanted.object):
        return _deny("object_malformed", _OBJECT_RULE)
    if _is_another_platform(wanted.namespace, wanted.object):
        return _PLATFORM_IS_ONE
    if isinstance(wanted.subject, str):
        return _plain_subject(relation, wanted.subject)
    return _subject_set(relation, wanted.subject)


_OBJECT_RULE = "An object has 1 to 128 characters: letters, digits and . _ ~ : * -"


def _place(model: RelationModel, wanted: Relationship) -> Relation | Deny:
    """Return the relation, if the model has it."""
    namespace = model.namespaces.get(wanted.namespace)
    if namespace is None:
        return _deny("namespace_unknown", f"There is no namespace {_shown(wanted.namespace)}.")
    if wanted.relation in namespace.permits:
        text = f"{namespace.name}#{wanted.relation} is a permit: it is asked, never written."
        return _deny("permit_not_writable", text)
    relation = namespace.relations.get(wanted.relation)
    if relation is None:
        known = ", ".join(namespace.relations) or "none"
        text = f"{namespace.name} has no relation {_shown(wanted.relation)}; it has: {known}."
        return _deny("relation_unknown", text)
    return relation


def _plain_subject(relation: Relation, subject_id: str) -> Deny | None:
    if not any(each.is_plain for each in relation.types):
        text = f"{relation.name} holds no plain subjects: write a subject_set."
        return _deny("subject_type_refused", text)
    if not _SUBJECT.fullmatch(subject_id):
        return _deny("subject_malformed", "A subject_id is a UUID in lower case.")
    return None


def _subject_set(relation: Relation, subject: SubjectSet) -> Deny | None:
    for each in relation.types:
        if each.is_plain or each.namespace != subject.namespace:
            continue
        if (each.relation or "") == subject.relation:
            if not _OBJECT.fullmatch(subject.object):
                return _deny("object_malformed", _OBJECT_RULE)
            if _is_another_platform(subject.namespace, subject.object):
                return _PLATFORM_IS_ONE
            return None
    if any(each.is_edge and each.namespace == subject.namespace for each in relation.types):
        text = f"{relation.name} points at an object: its subject_set has an empty relation."
        return _deny("edge_relation_refused", text)
    return _deny("subject_type_refused", f"{relation.name} does not hold such a subject.")


def _is_another_platform(namespace: str, name: str) -> bool:
    """A second platform would be a second gate: whoever may write it could pass by it."""
    return namespace == PLATFORM_NAMESPACE and name != PLATFORM_OBJECT


def _unknown(document: Mapping[str, Any], known: frozenset[str]) -> Deny | None:
    for name in document:
        if name not in known:
            return _deny("field_unknown", f"A tuple has no field {_shown(name)}.")
    return None


def _unusable(*names: object) -> Deny | None:
    for name in names:
        if not isinstance(name, str):
            text = "namespace, object, relation and the subject are strings."
            return _deny("tuple_malformed", text)
        if len(name) > MAX_STORED or _CONTROL.search(name):
            text = f"A name has no control characters and at most {MAX_STORED} characters."
            return _deny("name_malformed", text)
    return None


def _shown(text: object) -> str:
    """Return what somebody sent, harmless and short."""
    return ascii(text)[:60]


def _deny(code: str, text: str) -> Deny:
    return Deny((Reason(code, text),))


_PLATFORM_IS_ONE = _deny(
    "platform_is_one", f"There is one {PLATFORM_NAMESPACE}: {PLATFORM_OBJECT}."
)
