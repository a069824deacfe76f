"""What errors say of themselves: never what somebody sent."""

import subprocess
import sys

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from integration.errors import UpstreamUnavailableError
from integration.ory.kratos_models import KratosSession
from integration.ory.own_edge import AskingClient, OwnEdge
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
