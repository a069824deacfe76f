"""Submits of one browser flow take turns."""

import asyncio
from uuid import UUID, uuid4

from integration.edge.asgi import Answer
from integration.edge.bodies import RequestBody
from integration.edge.flows.flow_turns import FlowTurns
from integration.edge.flows.guards import GuardChain, Submit
from integration.edge.problems import RefusedError
from integration.edge.requests import Request

OK = Answer(200, [], b"{}")


async def nothing() -> dict:
    return {"type": "http.disconnect"}


class Reader:
    """Notes when it reads how a submit ended."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def of(self, submit: Submit, answer: Answer | None) -> None:
        await asyncio.sleep(0.01)
        self.log.append("read")


def submit(flow_id: UUID, *, cookies: bool = True) -> Submit:
    body = RequestBody(nothing, [], max_bytes=1)
    headers = [(b"cookie", b"a=b")] if cookies else []
    path = "/self-service/login"
    return Submit.of(Request("POST", path, f"flow={flow_id}", headers, "9.9.9.9", "i", body), {})


async def send(turns: FlowTurns, log: list[str], *submits: Submit) -> list:
    async def ask() -> Answer:
        log.append("kratos")
        await asyncio.sleep(0.01)
        return OK

    chain = GuardChain([turns])
    waiting = (chain.around(each, ask) for each in submits)
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_the_outcome_of_one_submit_is_read_before_kratos_gets_the_next():
    reader, flow_id = Reader(), uuid4()
    asyncio.run(send(FlowTurns(reader), reader.log, *(submit(flow_id) for _ in range(3))))
    assert reader.log == ["kratos", "read"] * 3


def test_other_flows_and_native_clients_do_not_wait():
    reader, flow_id = Reader(), uuid4()
    native = [submit(flow_id, cookies=False) for _ in range(2)]
    asyncio.run(send(FlowTurns(reader), reader.log, *native, submit(uuid4()), submit(uuid4())))
    assert reader.log[:4] == ["kratos"] * 4


def test_a_flood_of_one_form_is_refused_and_leaves_nothing_behind():
    reader, flow_id = Reader(), uuid4()
    turns = FlowTurns(reader)

    async def run() -> tuple[list, list]:
        flood = await send(turns, reader.log, *(submit(flow_id) for _ in range(20)))
        return flood, await send(turns, reader.log, submit(flow_id))

    flood, later = asyncio.run(run())

    refused = [each for each in flood if isinstance(each, RefusedError)]
    assert len(refused) == 12
    assert {each.refusal.code for each in refused} == {"form_in_use"}
    assert later == [OK]
