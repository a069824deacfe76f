"""What may be asked about permissions, and how it is put to Keto.

A question of ours names a permission (`content.publish`), or an action and a resource
(`edit`, `Content:abc`). Only permits are asked: with its database gone, Keto answers a bare
relation with a silent "no", a permit with an error. Source: the running server, v0.13.0-alpha.0.
What Ory's own clients ask is read in `policies/ory_checks.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from policies.authority import GUEST_SUBJECT, PERMISSION_NAMESPACE

PERMITS: Mapping[str, frozenset[str]] = {
    "Platform": frozenset({"enter", "administer", "moderate", "create", "participate"}),
    "Channel": frozenset({"moderate", "manage"}),
    "Content": frozenset({"view", "find", "edit", "remove", "share"}),
    "Profile": frozenset({"view", "update"}),
    "Permission": frozenset({"use"}),
}
"""The permits behind the gate, by namespace; a test compares them with the model."""

READING = frozenset({("Content", "view"), ("Content", "find"), ("Profile", "view")})
"""Permits that let somebody look, and change nothing."""

GUEST = "guest"
MAX_OBJECT = 128
OBJECT_FORM = re.compile(r"[A-Za-z0-9._~:*-]{1,128}\Z")
UUID_FORM = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
_EPOCH = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\Z")
_OURS = frozenset({"subject", "permission", "action", "resource", "at_least", "fresh"})


class Question(NamedTuple):
    """Whether a subject has a permit on an object.

    Attributes:
        subject: UUID in lower case with hyphens.
        relation: A permit of the namespace.
    """

    subject: str
    namespace: str
    object: str
    relation: str

    @property
    def is_permit(self) -> bool:
        return self.relation in PERMITS.get(self.namespace, ())

    @property
    def is_reading(self) -> bool:
        return (self.namespace, self.relation) in READING


class Epochs(NamedTuple):
    """Up to which changes an answer knows: of its subject, and of the edges between objects."""

    subject: int
    edges: int

    def __str__(self) -> str:
        return f"{self.subject}.{self.edges}"

    def reaches(self, wanted: "Epochs") -> bool:
        return self.subject >= wanted.subject and self.edges >= wanted.edges


class MalformedError(ValueError):
    """A question that cannot be asked.

    Attributes:
        code: Stable, snake case.
        sentence: For whoever asked; repeats nothing of the question.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of ours as it was read.

    Attributes:
        subject: As `Question.subject`; None: whoever asks.
        at_least: The answer must know at least this; None: does not matter.
        fresh: The answer must know everything that was answered before it was asked.
    """

    subject: str | None
    namespace: str
    object: str
    relation: str
    at_least: Epochs | None = None
    fresh: bool = False

    def about(self, subject: str) -> Question:
        return Question(subject, self.namespace, self.object, self.relation)


def read_question(document: object) -> Asked:
    """Read `{subject?, permission}` or `{subject?, action, resource}`.

    Raises:
        MalformedError: it is neither, or names what does not exist.
    """
    if not isinstance(document, dict):
        refuse("question_malformed", "A question is an object with permission, or with action.")
    if not document.keys() <= _OURS:
        refuse("member_unknown", f"A question has no members but {', '.join(sorted(_OURS))}.")
    fresh = document.get("fresh", False)
    if not isinstance(fresh, bool):
        refuse("fresh_malformed", "fresh is true or false.")
    at_least = document.get("at_least")
    return Asked(
        read_subject(document.get("subject")),
        *_target(document),
        at_least=None if at_least is None else read_epochs(at_least),
        fresh=fresh,
    )


def read_subject(value: object) -> str | None:
    """Return a subject in its one spelling; None when none is named.

    Raises:
        MalformedError: it is neither a UUID nor `guest`.
    """
    if value is None:
        return None
    if value == GUEST:
        return GUEST_SUBJECT
    if isinstance(value, str):
        if UUID_FORM.match(value):
            return value
        if UUID_FORM.match(value.lower()):
            return value.lower()
    return refuse("subject_malformed", "A subject is the UUID of an identity, or guest.")


def read_epochs(value: object) -> Epochs:
    """Read an epoch as an answer gave it.

    Raises:
        MalformedError: no answer gave this one.
    """
    found = _EPOCH.match(value) if isinstance(value, str) else None
    if found is None:
        refuse("epoch_malformed", "at_least is the epoch of an earlier answer.")
    return Epochs(int(found[1]), int(found[2]))


def read_resource(value: object) -> tuple[str, str]:
    """Read `Content:abc`.

    Raises:
        MalformedError: it is no object of a namespace that has permits.
    """
    namespace, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not OBJECT_FORM.match(name):
        refuse(
            "resource_malformed",
            f"A resource is Namespace:object; an object has up to {MAX_OBJECT} letters, digits "
            "and . _ ~ : * -",
        )
    if namespace not in PERMITS:
        refuse("namespace_unknown", f"There are permits on {', '.join(sorted(PERMITS))}.")
    return namespace, name


def is_permission_name(value: object) -> bool:
    """Tell whether this may name a permission; whether it does is seen in Keto."""
    return isinstance(value, str) and OBJECT_FORM.match(value) is not None


def _target(document: Mapping[str, object]) -> tuple[str, str, str]:
    permission, action = document.get("permission"), document.get("action")
    if (permission is None) == (action is None):
        refuse("question_malformed", "Name a permission, or an action and a resource.")
    if permission is not None:
        if document.get("resource") is not None or not is_permission_name(permission):
            refuse("permission_malformed", "A permission is a name such as content.publish.")
        return PERMISSION_NAMESPACE, str(permission), "use"
    namespace, name = read_resource(document.get("resource"))
    if not isinstance(action, str) or action not in PERMITS[namespace]:
        known = ", ".join(sorted(PERMITS[namespace]))
        refuse("action_unknown", f"Actions on {namespace} are {known}.")
    return namespace, name, action


def refuse(code: str, sentence: str) -> NoReturn:
    """Say why a question cannot be asked."""
    raise MalformedError(code, sentence)
