"""What errors say of themselves: never what somebody sent."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from aiohttp import web
from pydantic import HttpUrl, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from integration.effects import record
from integration.errors import KleisError, UpstreamUnavailableError
from integration.ory.kratos_models import KratosSession
from integration.ory.own_edge import AskingClient, OwnEdge
from integration.ory.transport import send
from integration.services import make_services
from integration.tasks.deliver import deliver
from policies.decisions import SyncAuthority
from tests.edge_stage import Upstream, upstream_running
from tests.service.conftest import CLOSED

_FAILING = """
import structlog
from integration.observability import configure_logging

def log_in(password):
    raise RuntimeError("failed")

configure_logging(level="info", log_format="{format}", process="test")
try:
    log_in("correct horse battery")
except RuntimeError:
    structlog.get_logger().exception("request_failed")
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_logged_error_shows_no_variable(log_format):
    program = _FAILING.replace("{format}", log_format)

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "request_failed" in ran.stderr
    assert "RuntimeError: failed" in ran.stderr
    # The line of the source is shown; what the name held is not.
    assert "log_in(password)" not in ran.stderr
    assert "correct horse" not in ran.stderr.replace('log_in("correct horse battery")', "")


def test_a_failed_statement_does_not_name_its_values(services):
    with pytest.raises(DBAPIError) as failed, services.transaction() as session:
        session.execute(text("select 1 / 0 where :email <> ''"), {"email": "ada@example.test"})
    assert "division by zero" in str(failed.value)
    assert "ada@example.test" not in str(failed.value)


def test_an_edge_that_is_away_is_named_without_the_flow():
    with httpx.Client(base_url=CLOSED, trust_env=False) as client:
        edge = OwnEdge(client, "a-secret-for-tests-alone")
        with pytest.raises(UpstreamUnavailableError) as failed:
            edge.post("/self-service/login?flow=5bd1c1d4", AskingClient("127.0.0.1"))
    assert "/self-service/login" in failed.value.detail
    assert "5bd1c1d4" not in failed.value.detail


def test_a_session_that_cannot_be_read_is_not_shown():
    traits = {"email": "ada@example.test"}
    identity = {"id": "no id", "traits": traits, "created_at": traits}
    with pytest.raises(ValidationError) as failed:
        KratosSession.model_validate({"id": "no id either", "identity": identity})
    assert "identity.created_at" in str(failed.value)
    assert "ada@example.test" not in str(failed.value)


@dataclass
class Wordy(Upstream):
    """Kratos and Keto that quote what they were sent, in every way they can."""

    status: int = 409
    body: str = ""

    async def answer(self, request):
        return web.Response(
            status=self.status, text=self.body, headers={"X-Request-Id": "5bd1c1d4-0000"}
        )


SECRET = "ada@example.test"
TOKEN = "ory_st_MvwPCd0vBTzyxWZhwHbGkPmPDsTeGkMb"
QUOTING = {
    "error": {
        "id": "identity_conflict",
        "code": 4090,
        "status": "Conflict",
        "request": "8f0b6c1e-7c2f-4c55-8ee2-6b4ab8d6a2f1",
        "reason": f"This conflicts with the identity of {SECRET}.",
        "message": f"{SECRET} is taken; token {TOKEN}",
        "details": {"identifier": SECRET},
        "debug": f"UNIQUE constraint failed: {SECRET}",
    }
}


@pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 503])
def test_an_answer_of_ory_is_told_by_its_names_and_not_by_its_words(status):
    said = refusal_detail(status, json.dumps(QUOTING))

    assert said.startswith(f"GET /admin/identities: {status} ")
    assert "code=4090 id=identity_conflict" in said
    assert "request=8f0b6c1e-7c2f-4c55-8ee2-6b4ab8d6a2f1" in said
    assert SECRET not in said
    assert "example" not in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    "body",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps([SECRET]),
        json.dumps({"error": SECRET}),
        json.dumps({"error": {"id": SECRET, "code": SECRET, "request": f"{SECRET}"}}),
        json.dumps({"error": {"id": [SECRET], "code": {"x": SECRET}, "request": 5}}),
        "[" * 60_000,
        json.dumps({"error": {"id": "a", "reason": SECRET}}) + " " * 70_000,
    ],
)
def test_whatever_an_answer_is_made_of_its_words_are_not_told(body):
    said = refusal_detail(400, body)

    assert "400" in said
    assert "example" not in said


def refusal_detail(status: int, body: str) -> str:
    double = Wordy(status=status, body=body)
    with (
        upstream_running(double),
        httpx.Client(base_url=f"http://127.0.0.1:{double.port}") as asks,
        pytest.raises(KleisError) as failed,
    ):
        send(asks, "GET", f"/admin/identities?credentials_identifier={SECRET}")
    return failed.value.detail


def test_what_ory_says_of_a_member_stands_neither_in_the_outbox_nor_in_a_log(
    settings, clock, services, capfd
):
    double = Wordy(status=400, body=json.dumps(QUOTING))
    with upstream_running(double):
        here = f"http://127.0.0.1:{double.port}/"
        urls = dict.fromkeys(("keto_read_url", "keto_write_url"), here)
        told = settings.model_copy(update={name: HttpUrl(url) for name, url in urls.items()})
        asking = replace(make_services(told, pool_size=4), now=clock)
        with asking.transaction() as session:
            record(session, uuid4(), (SyncAuthority(),), now=clock())
        clock.advance(timedelta(minutes=1))
        for effect_id in [row[0] for row in rows(services, "select id from outbox order by seq")]:
            deliver(asking, effect_id)
        asking.close()

    errors = [row[0] for row in rows(services, "select last_error from outbox")]
    assert "id=identity_conflict" in errors[0]
    written = "".join([*errors, *capfd.readouterr()])
    assert "effect_failed" in written
    assert SECRET not in written
    assert TOKEN not in written


def rows(services, statement: str) -> list:
    with services.transaction() as session:
        return list(session.execute(text(statement)))
