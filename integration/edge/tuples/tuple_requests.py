"""What a request to `/admin/relation-tuples` asks for, or why it is refused."""

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from integration.edge.admin.bodies import read as read_json
from integration.edge.asgi import Answer
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.tuples.keto_rules import AMBIGUOUS
from policies.decisions import Deny
from policies.relation_model import RelationModel
from policies.relationships import Relationship
from policies.tuple_deletes import Pattern, decide_delete
from policies.tuple_writes import TupleWrites, decide_patch, decide_put

BODY_UNWANTED = Refusal(400, "body_unwanted", "A DELETE names what to delete in its address.")
QUERY_UNWANTED = Refusal(400, "query_unwanted", "A PUT or PATCH has everything in its body.")

_CONFIRM = b"x-kleis-confirm"
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STATUS: Mapping[str, int] = {
    "namespace_unknown": 404,
    "circle_refused": 409,
    "chain_too_long": 409,
    "gate_follows_status": 409,
    "patch_too_large": 413,
    "confirmation_required": 428,
}


def refusal_of(fault: Deny) -> Refusal:
    """Return what a policy's refusal is to a client."""
    reason = fault.reasons[0]
    return Refusal(_STATUS.get(reason.code, 400), reason.code, reason.text)


def writes_of(model: RelationModel, request: Request, body: bytes) -> TupleWrites:
    """Return what a PUT or PATCH asks for.

    Raises:
        RefusedError: it cannot be read in one way, or the model has no place for it.
    """
    if request.query:
        raise RefusedError(QUERY_UNWANTED)
    document = read_json(body)
    decide = decide_put if request.method == "PUT" else decide_patch
    decision = decide(model, document)
    if isinstance(decision, Deny):
        raise RefusedError(refusal_of(decision))
    return decision


def pattern_of(model: RelationModel, request: Request, body: bytes) -> Pattern:
    """Return what a DELETE names. Raises as `writes_of`."""
    if body:
        raise RefusedError(BODY_UNWANTED)
    if ";" in request.query or _BROKEN_ESCAPE.search(request.query):
        # Keto drops such a pair, and would delete more than was understood here.
        raise RefusedError(AMBIGUOUS)
    pairs = parse_qsl(request.query, keep_blank_values=True)
    query = dict(pairs)
    confirmed = [value for name, value in request.headers if name == _CONFIRM]
    if len(query) != len(pairs) or len(confirmed) > 1:
        raise RefusedError(AMBIGUOUS)
    said = confirmed[0].decode("latin-1") if confirmed else None
    decision = decide_delete(model, query, confirmed=said)
    if isinstance(decision, Deny):
        raise RefusedError(refusal_of(decision))
    return decision


def created(item: Relationship) -> Answer:
    """Return Keto's own answer to a PUT, for a tuple that needs no writing."""
    query = Pattern(item.namespace, item.object, item.relation, item.subject).to_query()
    location = f"/relation-tuples?{urlencode(sorted(query.items()))}"
    body = json.dumps(item.to_json(), separators=(",", ":")).encode() + b"\n"
    fields = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"location", location.encode()),
    ]
    return Answer(201, fields, body)


def put_body(item: Relationship) -> bytes:
    """Return the body of a PUT as it was understood."""
    return json.dumps(item.to_json()).encode()


def patch_body(writes: TupleWrites) -> bytes:
    """Return the body of a PATCH as it was understood, without what is there already."""
    operations = [
        *({"action": "insert", "relation_tuple": each.to_json()} for each in writes.insert),
        *({"action": "delete", "relation_tuple": each.to_json()} for each in writes.delete),
    ]
    return json.dumps(operations, separators=(",", ":")).encode()
