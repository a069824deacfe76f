"""The chain that limits, lock-out and password rules plug into."""

import asyncio
import json
from uuid import UUID

import pytest

from integration.edge.asgi import Answer
from integration.edge.bodies import RequestBody
from integration.edge.flows.guards import GuardChain, SideBySide, Submit
from integration.edge.flows.outcome_reader import OutcomeReader
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


class Slow(Recorder):
    """A guard that is told, and waits for the other to be told too."""

    def __init__(self, name: str, log: list, met: asyncio.Barrier) -> None:
        super().__init__(name, log)
        self._met = met

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        async with asyncio.timeout(5):
            await self._met.wait()
        await super().after(submit, answer)


def test_guards_side_by_side_do_not_wait_for_each_other():
    log: list[str] = []
    met = asyncio.Barrier(2)
    together = SideBySide(Slow("row", log, met), Slow("limits", log, met))

    assert run(GuardChain([Recorder("log", log), together]), log) is OK
    assert log[:4] == ["before log", "before row", "before limits", "kratos"]
    assert sorted(log[4:6]) == ["after limits 200", "after row 200"]
    assert log[6:] == ["after log 200"]


def test_a_guard_that_refuses_is_not_told_and_what_stands_before_it_is():
    log: list[str] = []
    together = SideBySide(Recorder("row", log), Recorder("limits", log, NO), Recorder("x", log))

    with pytest.raises(RefusedError):
        run(GuardChain([together]), log)
    assert log == ["before row", "before limits", "after row None"]


class Upstream:
    """Counts how often it is asked for the flow that a form is sent back to."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, *_: object) -> Answer:
        self.asked += 1
        await asyncio.sleep(0)
        messages = [{"id": 4000006, "type": "error", "text": "no"}]
        return Answer(200, [], json.dumps({"ui": {"messages": messages}}).encode())


def test_guards_that_ask_at_once_share_one_look_at_the_outcome():
    upstream = Upstream()
    reader, sent = OutcomeReader(upstream), submit()
    back = Answer(303, [(b"location", f"http://x/login?flow={ID}".encode())], b"")

    async def both() -> list:
        return await asyncio.gather(reader.of(sent, back), reader.of(sent, back))

    first, second = asyncio.run(both())

    assert first is second
    assert first.outcome == "wrong_credentials"
    assert upstream.asked == 1


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
