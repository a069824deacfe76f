"""The chain that limits, lock-out and password rules plug into."""

import asyncio
import json
from uuid import UUID

import pytest

from integration.edge.asgi import Answer
from integration.edge.bodies import RequestBody
from integration.edge.flows.guards import GuardChain, Submit
from integration.edge.problems import Refusal, RefusedError, page, problem
from integration.edge.requests import Request

ID = UUID("3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11")
NO = Refusal(429, "limited", "Wait <a> moment.", ((b"retry-after", b"30"),))
OK = Answer(200, [], b"{}")


class Recorder:
    """A guard that notes what it is asked."""

    def __init__(self, name: str, log: list, refusal: Refusal | None = None) -> None:
        self._name, self._log, self._refusal = name, log, refusal

    async def before(self, submit: Submit) -> Refusal | None:
        self._log.append(f"before {self._name}")
        return self._refusal

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        self._log.append(f"after {self._name} {answer and answer.status}")


async def nothing() -> dict:
    return {"type": "http.disconnect"}


def submit(path="/self-service/login", query=f"flow={ID}") -> Submit:
    body = RequestBody(nothing, [], max_bytes=1)
    return Submit.of(Request("POST", path, query, [], "9.9.9.9", "id", body), {"method": "x"})


def run(chain: GuardChain, log: list, answer: Answer | None = OK) -> Answer:
    async def ask() -> Answer:
        log.append("kratos")
        if answer is None:
            raise RefusedError(NO)
        return answer

    return asyncio.run(chain.around(submit(), ask))


def test_guards_are_asked_in_order_and_told_in_reverse():
    log: list[str] = []
    chain = GuardChain([Recorder("limits", log), Recorder("password", log)])

    assert run(chain, log) is OK
    assert log == [
        "before limits",
        "before password",
        "kratos",
        "after password 200",
        "after limits 200",
    ]


def test_a_refusal_keeps_kratos_out_and_frees_what_earlier_guards_hold():
    log: list[str] = []
    chain = GuardChain([Recorder("a", log), Recorder("b", log, NO), Recorder("c", log)])

    with pytest.raises(RefusedError):
        run(chain, log)
    assert log == ["before a", "before b", "after a None"]


def test_guards_learn_that_nobody_answered():
    log: list[str] = []

    with pytest.raises(RefusedError):
        run(GuardChain([Recorder("a", log)]), log, None)
    assert log == ["before a", "kratos", "after a None"]


@pytest.mark.parametrize(
    ("path", "query", "flow", "flow_id"),
    [
        ("/self-service/settings", f"flow={ID}", "settings", ID),
        ("/self-service/login", "", "login", None),
        ("/self-service/login", "flow=x", "login", None),
        ("/self-service/logout/api", "", "", None),
    ],
)
def test_a_submit_knows_its_flow(path, query, flow, flow_id):
    known = submit(path, query)

    assert (known.flow, known.flow_id) == (flow, flow_id)


def test_a_refusal_is_a_problem_and_on_orys_paths_orys_error_too():
    body = json.loads(problem(NO, on_ory_path=True).body)

    assert body["type"] == "urn:kleis:problem:limited"
    assert (body["status"], body["title"]) == (429, "Too Many Requests")
    assert body["error"]["code"] == 429
    assert "error" not in json.loads(problem(NO, on_ory_path=False).body)
    assert (b"retry-after", b"30") in problem(NO, on_ory_path=False).headers


def test_a_page_escapes_what_it_says():
    assert b"&lt;a&gt;" in page(NO).body
