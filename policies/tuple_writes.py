"""What one call may change of Keto's tuples: all of it, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.decisions import Deny, Reason
from policies.relation_model import RelationModel
from policies.relationships import Relationship, decide_insert, read
from policies.role_writes import (
    RoleWrite,
    decide_roles,
    is_authority,
    is_guest,
    is_wide_permission,
)

MAX_OPERATIONS = 1000
"""Operations of one PATCH. They are one transaction in Keto, about a millisecond each, and every
other writer waits for it: more are refused, and never cut in pieces that could fail apart."""


@dataclass(frozen=True, slots=True)
class TupleWrites:
    """One call, understood.

    Attributes:
        insert: Each once, in the order they came. Some may be there already.
        delete: Each once. Never one that is also inserted.
    """

    insert: tuple[Relationship, ...] = ()
    delete: tuple[Relationship, ...] = ()

    @property
    def is_of_authority(self) -> bool:
        """Whether the key needs `roles:write`."""
        return any(
            is_authority(each) or is_wide_permission(each.namespace, each.object)
            for each in (*self.insert, *self.delete)
        )


def decide_put(model: RelationModel, document: object) -> TupleWrites | Deny:
    """Judge one tuple to insert."""
    wanted = read(document)
    if isinstance(wanted, Deny):
        return wanted
    fault = decide_insert(model, wanted)
    return TupleWrites(insert=(wanted,)) if fault is None else fault


def decide_patch(model: RelationModel, document: object) -> TupleWrites | Deny:
    """Judge a list of `{action, relation_tuple}`; a refusal says which one is at fault."""
    if not isinstance(document, Sequence) or isinstance(document, str | bytes):
        return _deny("patch_malformed", "The body is a list of {action, relation_tuple}.")
    if len(document) > MAX_OPERATIONS:
        text = f"A PATCH has at most {MAX_OPERATIONS} operations: send several."
        return _deny("patch_too_large", text)
    changes: dict[str, list[Relationship]] = {"insert": [], "delete": []}
    for number, item in enumerate(document):
        operation = _operation(model, item)
        if isinstance(operation, Deny):
            return _at(number, operation)
        action, wanted = operation
        changes[action].append(wanted)
    adding, taking = dict.fromkeys(changes["insert"]), dict.fromkeys(changes["delete"])
    if adding.keys() & taking.keys():
        # Keto deletes last: the tuple would be gone.
        text = "A tuple cannot be inserted and deleted in one call."
        return _deny("patch_contradictory", text)
    return TupleWrites(tuple(adding), tuple(taking))


def decide_authority(writes: TupleWrites) -> Mapping[str, RoleWrite] | Deny:
    """Return what is to change in our own state instead of in Keto; empty when nothing is."""
    everything = (*writes.insert, *writes.delete)
    ours = [each for each in everything if is_authority(each) and not is_guest(each)]
    if not ours:
        return {}
    if len(ours) < len(everything):
        text = "Roles change in Kleis, other tuples in Keto: send them in calls of their own."
        return _deny("roles_apart", text)
    return decide_roles(writes.insert, writes.delete)


def _operation(model: RelationModel, item: object) -> tuple[str, Relationship] | Deny:
    if not isinstance(item, Mapping) or set(item) != {"action", "relation_tuple"}:
        return _deny("patch_malformed", "An operation is {action, relation_tuple}.")
    action: Any = item["action"]
    if action not in ("insert", "delete"):
        return _deny("patch_malformed", "An action is insert or delete.")
    wanted = read(item["relation_tuple"])
    if isinstance(wanted, Deny):
        return wanted
    fault = decide_insert(model, wanted) if action == "insert" else None
    if fault is None and action == "delete" and wanted.namespace not in model.namespaces:
        fault = decide_insert(model, wanted)
    return (action, wanted) if fault is None else fault


def _at(number: int, fault: Deny) -> Deny:
    """Say which operation is at fault."""
    reasons = tuple(
        replace(each, text=f"Operation {number}: {each.text}", pointer=f"#/{number}/relation_tuple")
        for each in fault.reasons
    )
    return Deny(reasons)


def _deny(code: str, text: str) -> Deny:
    return Deny((Reason(code, text),))
