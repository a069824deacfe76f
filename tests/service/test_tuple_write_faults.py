"""Writes of tuples when Keto fails, deadlocks or is away, and when there are several edges."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from integration.errors import UpstreamUnavailableError
from integration.ory.keto import Keto
from policies.authority import platform_tuple
from tests.service.conftest import CLOSED
from tests.tuple_stage import (
    PATH,
    Stage,
    another_edge,
    channel_owner,
    code_of,
    listed,
    stage_running,
    within,
)


@pytest.fixture(scope="module")
def stage(keto, database_url, valkey_url) -> Iterator[Stage]:
    with stage_running(keto, database_url, valkey_url) as running:
        yield running


# As recorded from Keto v0.13.0-alpha.0 on PostgreSQL with four writers.
DEADLOCK = {
    "error": {
        "code": 500,
        "status": "Internal Server Error",
        "message": "ERROR: deadlock detected (SQLSTATE 40P01)",
    }
}
BROKEN = {"error": {"code": 500, "status": "Internal Server Error", "message": "closed pool"}}


@contextmanager
def write_port(*answers: tuple[int, object]) -> Iterator[tuple[str, list[bytes]]]:
    """Play Keto's write port with these answers, the last one for ever."""
    asked: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            asked.append(self.rfile.read(int(self.headers["content-length"])))
            status, body = answers[min(len(asked), len(answers)) - 1]
            content = b"" if status == 204 else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def insert(item: dict[str, object]) -> list[dict[str, object]]:
    return [{"action": "insert", "relation_tuple": item}]


def test_a_deadlock_is_tried_once_more(stage):
    """Keto has rolled back, so nothing can be there twice."""
    with (
        write_port((500, DEADLOCK), (204, None)) as (url, asked),
        another_edge(stage, keto_write_url=url) as edge,
    ):
        answer = edge.patch(PATH, json=insert(channel_owner()))

    assert answer.status_code == 204
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert stage.audit()[-1]["status"] == 204


def test_a_second_deadlock_is_the_clients_to_know(stage):
    with (
        write_port((500, DEADLOCK)) as (url, asked),
        another_edge(stage, keto_write_url=url) as edge,
    ):
        answer = edge.patch(PATH, json=insert(channel_owner()))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert len(asked) == 2
    assert stage.audit()[-1]["status"] == 500


def test_another_failure_is_not_tried_again(stage):
    with write_port((500, BROKEN)) as (url, asked), another_edge(stage, keto_write_url=url) as edge:
        answer = edge.patch(PATH, json=insert(channel_owner()))

    assert answer.status_code == 502
    assert len(asked) == 1


def test_our_own_writes_try_a_deadlock_once_more_too():
    item = platform_tuple("users", "3c3f079e-89d2-4f58-9f72-96b1617ad2cc")
    for answers, tries, succeeds in (
        (((500, DEADLOCK), (204, None)), 2, True),
        (((500, DEADLOCK),), 2, False),
        (((500, BROKEN),), 1, False),
    ):
        with write_port(*answers) as (url, asked), httpx.Client(base_url=url) as http:
            keto = Keto(read=http, write=http, turn=lambda _: nullcontext())
            expected = nullcontext() if succeeds else pytest.raises(UpstreamUnavailableError)
            with expected:
                keto.change(insert=frozenset({item}), delete=frozenset())
            assert len(asked) == tries


def test_when_keto_is_away_nobody_keeps_an_answer_and_the_row_has_no_status(stage):
    item = channel_owner()
    with another_edge(stage, keto_write_url=CLOSED) as edge:
        answer = edge.patch(PATH, json=insert(item))

    assert (answer.status_code, code_of(answer)) == (503, "upstream_unavailable")
    row = stage.audit()[-1]
    assert (row["status"], row["ended_at"] is None) == (None, False)
    assert [str(each) for each in row["subjects"]] == [item["subject_id"]]
    assert stage.epoch(row["subjects"][0]) == 2


def test_what_cannot_be_looked_up_is_not_written(stage):
    item, before = channel_owner(), len(stage.audit())
    with another_edge(stage, keto_read_url=CLOSED) as edge:
        answer = edge.patch(PATH, json=insert(item))

    assert (answer.status_code, code_of(answer)) == (503, "upstream_unavailable")
    assert listed(stage, item) == []
    assert len(stage.audit()) == before


def test_two_edges_write_a_tuple_once(stage):
    items = [channel_owner() for _ in range(10)]
    body = [operation for item in items for operation in insert(item)]
    with another_edge(stage) as other, ThreadPoolExecutor(6) as pool:
        edges = [stage.edge, other] * 6
        answers = list(pool.map(lambda edge: edge.patch(PATH, json=body), edges))

    assert {answer.status_code for answer in answers} == {204}
    assert all(len(listed(stage, item)) == 1 for item in items)


def test_two_edges_cannot_close_a_circle_together(stage):
    """Each half alone is allowed; whoever comes second is refused."""
    one, two = channel_owner()["object"], channel_owner()["object"]
    with another_edge(stage) as other, ThreadPoolExecutor(2) as pool:
        halves = [(stage.edge, within(one, two)), (other, within(two, one))]
        answers = list(pool.map(lambda half: half[0].put(PATH, json=half[1]), halves))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
