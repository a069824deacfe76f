"""Kratos' internal errors never reach a client; what it means for clients does."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.upstream_errors import UpstreamErrors

RECORDED = Path(__file__).parent / "recorded"
FAILURES = json.loads((RECORDED / "kratos-hook-failures.json").read_text())
REFUSALS = json.loads((RECORDED / "kratos-refusals.json").read_text())
ERRORS = UpstreamErrors(["http://127.0.0.1:4434/", "http://127.0.0.1:14500/"])

INTERNAL = [name for name, item in FAILURES.items() if "error" in item["body"]]
ON_ERROR_PAGE = [name for name in INTERNAL if name.endswith("_error")]
FLOWS = [name for name, item in FAILURES.items() if "ui" in item["body"]]
KEPT = [name for name in REFUSALS if name != "registration_notify_fail"]


def bytes_of(item) -> bytes:
    return json.dumps(item["body"]).encode()


@pytest.mark.parametrize("name", [name for name in INTERNAL if name not in ON_ERROR_PAGE])
def test_a_recorded_hook_failure_is_replaced(name):
    refusal = ERRORS.refusal_instead_of(FAILURES[name]["status"], bytes_of(FAILURES[name]))

    assert refusal is not None
    assert refusal.status in (502, 503)
    assert "127.0.0.1" not in refusal.sentence


@pytest.mark.parametrize("name", ["hook_500_api", "hook_500_spa", "hook_refused_api"])
def test_a_hook_that_was_down_is_worth_another_try(name):
    refusal = ERRORS.refusal_instead_of(FAILURES[name]["status"], bytes_of(FAILURES[name]))

    assert refusal is not None
    assert refusal.status == 503
    assert (b"retry-after", b"1") in refusal.headers


@pytest.mark.parametrize("name", ON_ERROR_PAGE)
def test_the_error_page_fetches_no_internals(name):
    scrubbed = ERRORS.scrub_error_page(bytes_of(FAILURES[name]))

    assert b"http://" not in scrubbed
    assert b"webhook" not in scrubbed
    assert json.loads(scrubbed)["id"] == FAILURES[name]["body"]["id"]
    assert json.loads(scrubbed)["error"]["code"] in (502, 503)


def test_the_error_page_keeps_what_concerns_the_person():
    body = {"id": "x", "error": REFUSALS["spa_login_nocsrf"]["body"]["error"]}

    assert ERRORS.scrub_error_page(json.dumps(body).encode()) == json.dumps(body).encode()


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_with_a_hooks_message_passes(name):
    assert ERRORS.refusal_instead_of(400, bytes_of(FAILURES[name])) is None


@pytest.mark.parametrize("name", KEPT)
def test_what_kratos_means_for_its_clients_passes(name):
    item = REFUSALS[name]

    assert ERRORS.refusal_instead_of(item["status"], bytes_of(item)) is None


def test_a_failed_completed_hook_is_replaced():
    item = REFUSALS["registration_notify_fail"]
    refusal = ERRORS.refusal_instead_of(item["status"], bytes_of(item))

    assert refusal is not None
    assert refusal.status == 502


def test_a_private_address_in_a_harmless_status_is_replaced():
    body = b'{"error": {"code": 400, "message": "see http://127.0.0.1:4434/x"}}'

    assert ERRORS.refusal_instead_of(400, body) is not None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error": "text"}'])
def test_other_bodies_pass_below_500_only(body):
    assert ERRORS.refusal_instead_of(404, body) is None
    assert ERRORS.refusal_instead_of(500, body) is not None


def test_notices_a_redirect_inside():
    assert ERRORS.points_inside("http://127.0.0.1:4434/admin/identities")
    assert not ERRORS.points_inside("/login?flow=x")
    assert not ERRORS.points_inside("https://accounts.test/o/oauth2")


@given(st.binary(max_size=100))
def test_never_raises(body):
    ERRORS.refusal_instead_of(400, body)
    ERRORS.scrub_error_page(body)
