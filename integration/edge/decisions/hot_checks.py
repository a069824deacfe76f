"""Checks of services, which ask all day: answered before anything else is made of the request.

Whatever is not plainly harmless, or has no decision, takes the long way, with the body that was
read for it. One line a second is logged of all of them.
"""

import asyncio
import json
import time

import structlog

from integration.edge import headers
from integration.edge.api_keys import ApiKeys, key_id_of
from integration.edge.asgi import Message, RawHeaders, Receive, Reply, Scope, Send
from integration.edge.decisions.askers import SCOPE
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision import Asking, Decision, Reason
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.decisions.ory_reading import check_of_query, object_of
from integration.edge.decisions.permission_api import HEADERS, shown
from integration.edge.problems import UPSTREAM_TEMPORARY, RefusedError, problem
from policies.ory_checks import read_ory_check
from policies.permission_questions import MalformedError, Question, read_question

log = structlog.get_logger()

_OURS = b"/api/permissions/check"
_MIRRORS_STATUS = b"/relation-tuples/check"
_ORYS = frozenset({_MIRRORS_STATUS, b"/relation-tuples/check/openapi"})
_MOST_FIELDS = 40
_MOST_BYTES = 8192
_MOST_BODY = 2048
_LOG_SECONDS = 1.0
# Fields that change what the others mean.
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"close"})
_KETO_HEADERS: RawHeaders = [(b"content-type", b"application/json; charset=utf-8")]


class HotChecks:
    """Answers plain checks, or leaves the request to others."""

    def __init__(self, keys: ApiKeys, decisions: Decisions, log_: DecisionLog) -> None:
        self._keys = keys
        self._decisions = decisions
        self._log = log_
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None

    async def answered(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer a check and return None; else return where the long way receives from."""
        path: bytes = scope["raw_path"]
        fields: RawHeaders = scope["headers"]
        if path != _OURS and path not in _ORYS:
            return receive
        started = time.perf_counter()
        if not _is_plain(fields, scope) or not self._keys.permits_at_once(fields, SCOPE):
            return receive
        body = b""
        if scope["method"] == "POST":
            message = await receive()
            receive = _first(message, receive)
            body = message.get("body", b"")
            if message["type"] != "http.request" or message.get("more_body"):
                return receive
        question = _question(scope, body)
        decision = None if question is None else await self._decided(question, path)
        if question is None or decision is None:
            return receive
        request_id = headers.request_id(fields)
        await _send(send, path, decision, request_id)
        self._log.add(question, decision, f"key:{key_id_of(fields)}", request_id, started)
        self._count()
        return None

    async def _decided(self, question: Question, path: bytes) -> Decision | None:
        """Return a decision; None: the long way says why there is none."""
        try:
            decision = await self._decisions.decide(Asking(question), members_only=path == _OURS)
        except RefusedError:
            return None
        return None if decision.reason is Reason.SUBJECT_UNKNOWN else decision

    def _count(self) -> None:
        self._answered += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LOG_SECONDS, self._write_line)

    def _write_line(self) -> None:
        log.info("permission_checks", count=self._answered)
        self._answered, self._timer = 0, None


def _is_plain(fields: RawHeaders, scope: Scope) -> bool:
    """Tell whether nothing in a header could be read in two ways."""
    named = dict(fields)
    if scope["http_version"] != "1.1" or len(named) != len(fields) or len(fields) > _MOST_FIELDS:
        return False
    if b"host" not in named or not _UNUSUAL.isdisjoint(named):
        return False
    if named.get(b"connection", b"close").lower() not in _PLAIN_CONNECTION:
        return False
    if sum(map(len, named.values())) > _MOST_BYTES:
        return False
    length = named.get(b"content-length")
    if scope["method"] == "GET":
        return length is None
    return (
        scope["method"] == "POST"
        and length is not None
        and length.isdigit()
        and 0 < int(length) <= _MOST_BODY
    )


def _question(scope: Scope, body: bytes) -> Question | None:
    """Return what is asked, when it may be answered from memory."""
    query: bytes = scope["query_string"]
    try:
        if scope["raw_path"] == _OURS:
            if query or scope["method"] != "POST":
                return None
            asked = read_question(json.loads(body))
            if asked.subject is None or asked.fresh or asked.at_least is not None:
                return None
            return asked.about(asked.subject)
        if scope["method"] == "GET":
            return check_of_query(query.decode("ascii")).permit()
        return None if query else read_ory_check(object_of(body)).permit()
    except (MalformedError, ValueError, RecursionError):
        # Why, the long way says.
        return None


async def _send(send: Send, path: bytes, decision: Decision, request_id: str) -> None:
    if decision.reason is Reason.UNKNOWN and path != _OURS:
        answer = problem(UPSTREAM_TEMPORARY, on_ory_path=True)
        await Reply(send, [(b"x-request-id", request_id.encode())]).whole(answer)
        return
    is_ours = path == _OURS
    allowed = {"allowed": decision.allowed}
    text = json.dumps(shown(decision) if is_ours else allowed).encode()
    fields = [
        *(HEADERS if is_ours else _KETO_HEADERS),
        (b"content-length", b"%d" % len(text)),
        (b"x-request-id", request_id.encode()),
    ]
    status = 403 if path == _MIRRORS_STATUS and not decision.allowed else 200
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": text})


def _first(message: Message, receive: Receive) -> Receive:
    """Return what gives a message that was taken already, and then whatever comes."""
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
