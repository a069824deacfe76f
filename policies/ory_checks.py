"""What Ory's own clients ask of Keto, read so that nobody can read it otherwise.

Keto's parsers are forgiving: names in any case, the last of two equal ones, unknown ones left
out. What is refused here would be asked about somebody else than was looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from policies.permission_questions import (
    MAX_OBJECT,
    OBJECT_FORM,
    UUID_FORM,
    Question,
    refuse,
)

MAX_SUBJECT = 128
# Columns of Keto's tables; longer ones are errors of its database.
_LONGEST = {"namespace": 200, "relation": 64, "subject_id": MAX_SUBJECT}
_MEMBERS = frozenset({"namespace", "object", "relation", "subject_id", "subject_set"})
_SET = frozenset({"namespace", "object", "relation"})


@dataclass(frozen=True, slots=True)
class OryCheck:
    """A check as Ory's clients send it, read so that nobody can read it otherwise.

    Attributes:
        members: What is sent on; absent members stay absent, for Keto to complain about.
        max_depth: As given; None when it was not.
    """

    members: Mapping[str, object]
    max_depth: int | None = None

    def permit(self) -> Question | None:
        """Return the question if its answer may be remembered: a permit, about a plain subject,
        at Keto's own depth."""
        subject = self.subject_id
        if subject is None or self.max_depth is not None:
            return None
        namespace, name, relation = (
            str(self.members.get(part, "")) for part in ("namespace", "object", "relation")
        )
        question = Question(subject, namespace, name, relation)
        return question if question.is_permit and name else None

    @property
    def subject_id(self) -> str | None:
        """The subject when it is written as members' subjects are; nobody else's tuples expire."""
        value = self.members.get("subject_id")
        return value if isinstance(value, str) and UUID_FORM.match(value) else None


def read_ory_check(members: object, max_depth: str | None = None) -> OryCheck:
    """Read a check of Ory's paths.

    Args:
        members: The JSON of a POST, or the query of a GET with `subject_set` put together.
        max_depth: The text of `max-depth`.

    Raises:
        MalformedError: it has members nobody knows, of wrong types, or names nothing can have.
    """
    if not isinstance(members, dict):
        refuse("check_malformed", "A check is an object with namespace, object and relation.")
    if not members.keys() <= _MEMBERS:
        refuse("member_unknown", f"A check has no members but {', '.join(sorted(_MEMBERS))}.")
    kept = {name: value for name, value in members.items() if value is not None}
    if "subject_id" in kept and "subject_set" in kept:
        refuse("subject_ambiguous", "A check is about a subject_id or a subject_set, not both.")
    if "subject_set" in kept:
        _check_set(kept["subject_set"])
    for name, value in kept.items():
        if name != "subject_set":
            _check_name(name, value)
    return OryCheck(kept, None if max_depth is None else _depth(max_depth))


def _check_set(value: object) -> None:
    if not isinstance(value, dict) or not value.keys() <= _SET:
        refuse("subject_malformed", "A subject_set has namespace, object and relation.")
    for name, part in value.items():
        if part is not None:
            _check_name(name, part)


def _check_name(name: str, value: object) -> None:
    if not isinstance(value, str):
        refuse(f"{name}_malformed", f"{name} is text.")
    longest = _LONGEST.get(name)
    if longest is not None:
        if len(value) > longest or not value.isprintable():
            refuse(f"{name}_malformed", f"{name} has at most {longest} printable characters.")
    elif value and not OBJECT_FORM.match(value):
        refuse(
            f"{name}_malformed",
            f"{name} has up to {MAX_OBJECT} letters, digits and . _ ~ : * -",
        )


def _depth(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and int(text) > 0):
        refuse("max_depth_malformed", "max-depth is a number from 1.")
    return int(text)
