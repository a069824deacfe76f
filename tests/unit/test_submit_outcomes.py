"""How submits ended, told from answers that the running Kratos v1.3.1 gave."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import pytest

from integration.edge.asgi import Answer
from integration.edge.bodies import RequestBody
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import classify
from integration.edge.flows.submit_outcomes import Outcome, is_new_session
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request

RECORDED = json.loads((Path(__file__).parent / "recorded" / "submits.json").read_text())
FLOW = "ab9846ca-7842-4152-8777-412f45c64325"
ALICE = UUID("a64e05a3-c33f-44ee-bf19-fb5cacf9bc2c")
PASSWORD = {"method": "password", "identifier": "alice", "password": "x"}


async def nothing() -> dict:
    return {"type": "http.disconnect"}


def submit(flow="login", fields=PASSWORD, *, flow_id=FLOW, headers=(), path=None) -> Submit:
    body = RequestBody(nothing, [], max_bytes=1)
    path = path or f"/self-service/{flow}"
    request = Request("POST", path, f"flow={flow_id}", list(headers), "9.9.9.9", "id", body)
    return Submit.of(request, dict(fields))


def answer(name: str) -> Answer:
    recorded = RECORDED[name]
    headers = [(b"location", recorded["location"].encode())] if "location" in recorded else []
    cookies = (f"{cookie}=opaque; Path=/; HttpOnly" for cookie in recorded.get("cookies", ()))
    headers += [(b"set-cookie", cookie.encode()) for cookie in cookies]
    body = json.dumps(recorded["body"]).encode() if "body" in recorded else b""
    return Answer(recorded["status"], headers, body)


class Kratos:
    """Answers what the edge asks, from recordings; remembers it."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple] = []

    async def __call__(self, path: str, query: str, credentials) -> Answer:
        self.asked.append((path, query, credentials))
        kind = path.rsplit("/", 1)[-1]
        if kind not in self.answers:
            return Answer(401, [], b'{"error": {"code": 401}}')
        if kind == "whoami":
            session = RECORDED[self.answers[kind]]["body"]["session"]
            return Answer(200, [], json.dumps(session).encode())
        return answer(self.answers[kind])


def outcome_of(name: str, flow="login", fields=PASSWORD, kratos=None, **about):
    return asyncio.run(classify(submit(flow, fields, **about), answer(name), kratos or Kratos()))


TABLE = [
    ("api_login_fail", "login", Outcome.WRONG_CREDENTIALS, "kratos_4000006"),
    ("spa_login_fail", "login", Outcome.WRONG_CREDENTIALS, "kratos_4000006"),
    ("api_login_success", "login", Outcome.SUCCESS, None),
    ("spa_login_success", "login", Outcome.SUCCESS, None),
    ("api_login_code_sent", "login", Outcome.NEXT_STEP, "sent_email"),
    ("api_login_code_wrong", "login", Outcome.WRONG_CODE, "kratos_4010008"),
    ("api_login_inactive", "login", Outcome.DISABLED, "identity_disabled"),
    ("spa_login_inactive", "login", Outcome.DISABLED, "identity_disabled"),
    ("api_login_unverified", "login", Outcome.UNVERIFIED, "kratos_4000010"),
    ("api_login_flow_expired", "login", Outcome.FLOW_EXPIRED, "self_service_flow_expired"),
    ("api_login_already_logged_in", "login", Outcome.NEXT_STEP, "session_already_available"),
    ("spa_login_nocsrf", "login", Outcome.CSRF, "security_csrf_violation"),
    ("api_login_success_aal1_of_aal2_user", "login", Outcome.SUCCESS, None),
    ("spa_login_aal1_of_aal2_user", "login", Outcome.SUCCESS, None),
    ("form_login_aal1_of_aal2_user", "login", Outcome.SUCCESS, None),
    ("form_login_success", "login", Outcome.SUCCESS, None),
    ("form_login_bad_csrf", "login", Outcome.NEXT_STEP, "session_already_available"),
    ("api_login_aal2_wrong", "login", Outcome.WRONG_CODE, "kratos_4000008"),
    ("api_login_aal2_success", "login", Outcome.SUCCESS, None),
    ("oidc_link_login_submit", "login", Outcome.SUCCESS, None),
    ("oidc_spa_login_422", "login", Outcome.NEXT_STEP, "browser_location_change_required"),
    ("oidc_native_login", "login", Outcome.NEXT_STEP, "browser_location_change_required"),
    ("hook_403msg_api", "login", Outcome.VALIDATION, "kratos_9100002"),
    ("hook_403nobody_api", "login", Outcome.HOOK_FAILED, "hook_failed"),
    ("hook_500_api", "login", Outcome.HOOK_FAILED, "hook_failed"),
    ("hook_500_spa", "login", Outcome.HOOK_FAILED, "hook_failed"),
    ("hook_200garbage_spa", "login", Outcome.HOOK_FAILED, "hook_failed"),
    ("hook_refused_api", "login", Outcome.HOOK_FAILED, "hook_failed"),
    ("api_registration_success", "registration", Outcome.SUCCESS, None),
    ("spa_registration_success", "registration", Outcome.SUCCESS, None),
    ("api_two_step_profile", "registration", Outcome.NEXT_STEP, "choose_method"),
    ("registration_hook_inactive", "registration", Outcome.DISABLED, "identity_disabled"),
    ("registration_notify_fail", "registration", Outcome.HOOK_FAILED, "hook_failed"),
    ("registration_duplicate_nohints", "registration", Outcome.VALIDATION, "kratos_4000007"),
    ("api_recovery_sent", "recovery", Outcome.NEXT_STEP, "sent_email"),
    ("api_recovery_wrong", "recovery", Outcome.WRONG_CODE, "kratos_4060006"),
    ("api_recovery_success", "recovery", Outcome.SUCCESS, None),
    ("spa_recovery_code_ok", "recovery", Outcome.SUCCESS, None),
    ("api_recovery_success_continue_with", "recovery", Outcome.SUCCESS, None),
    ("api_verification_wrong_code", "verification", Outcome.WRONG_CODE, "kratos_4070006"),
    ("api_verification_success", "verification", Outcome.SUCCESS, None),
    ("api_settings_profile_success", "settings", Outcome.SUCCESS, None),
    ("oidc_settings_unlink", "settings", Outcome.SUCCESS, None),
    ("api_settings_no_session", "settings", Outcome.NEXT_STEP, "session_inactive"),
    ("api_settings_privileged_required", "settings", Outcome.NEXT_STEP, "session_refresh_required"),
    ("spa_settings_privileged_required", "settings", Outcome.NEXT_STEP, "session_refresh_required"),
    ("oidc_settings_link_422", "settings", Outcome.NEXT_STEP, "browser_location_change_required"),
]


@pytest.mark.parametrize(("name", "flow", "outcome", "code"), TABLE)
def test_an_answer_is_read_by_its_messages_and_codes(name, flow, outcome, code):
    told = outcome_of(name, flow)
    assert (told.outcome, told.code, told.flow) == (outcome, code, flow)


@pytest.mark.parametrize(("name", "flow", "outcome", "code"), TABLE)
def test_only_wrong_secrets_count(name, flow, outcome, code):
    counted = outcome_of(name, flow).outcome.is_credential_failure
    assert counted == (outcome in (Outcome.WRONG_CREDENTIALS, Outcome.WRONG_CODE))


def test_a_form_that_is_sent_back_is_read_from_its_flow_with_the_clients_cookies():
    kratos = Kratos(flows="form_login_fail_fetch")

    told = outcome_of("form_login_fail", kratos=kratos)

    assert told.outcome is Outcome.WRONG_CREDENTIALS
    assert kratos.asked == [("/self-service/login/flows", f"id={FLOW}", None)]


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        (PASSWORD, Outcome.WRONG_CREDENTIALS),
        ({"method": "totp", "totp_code": "123456"}, Outcome.WRONG_CODE),
        ({"method": "lookup_secret", "lookup_secret": "abcdefgh"}, Outcome.WRONG_CODE),
        ({"method": "code", "code": "123456"}, Outcome.WRONG_CODE),
        ({"method": "password", "identifier": "alice", "password": ""}, Outcome.UPSTREAM_ERROR),
    ],
)
def test_a_guess_over_a_flow_that_cannot_be_read_counts_as_wrong(fields, outcome):
    kratos = Kratos(flows="form_login_fail_fetch_nocookie")
    told = outcome_of("form_login_fail", fields=fields, kratos=kratos)
    assert (told.outcome, told.code) == (outcome, "outcome_unreadable")


def test_a_form_that_is_sent_to_another_flow_came_too_late():
    other = "00000000-0000-4000-8000-000000000001"
    kratos = Kratos(flows="form_login_fail_fetch_nocookie")
    assert outcome_of("form_login_fail", kratos=kratos, flow_id=other).code == "flow_replaced"


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        ("form_csrf_error", Outcome.CSRF),
        ("hook_500_form_error", Outcome.HOOK_FAILED),
        ("hook_403nobody_form_error", Outcome.HOOK_FAILED),
    ],
)
def test_a_form_that_is_sent_to_the_error_page_is_read_from_there(page, outcome):
    assert outcome_of("hook_500_form", kratos=Kratos(errors=page)).outcome is outcome


def test_a_message_that_a_parallel_submit_overwrote_hides_no_wrong_password():
    kratos = Kratos(flows="oidc_missing_trait_flow")
    assert outcome_of("form_login_fail", kratos=kratos).outcome is Outcome.WRONG_CREDENTIALS

    incomplete = {"method": "password", "identifier": "alice", "password": ""}
    told = outcome_of("form_login_fail", fields=incomplete, kratos=kratos)
    assert told.outcome is Outcome.VALIDATION


def test_a_recovery_that_a_hook_refused_is_read_from_where_it_leads():
    kratos = Kratos(flows="api_recovery_wrong")
    told = outcome_of("recovery_hook_reject_api", "recovery", kratos=kratos)
    assert (told.flow, told.outcome) == ("recovery", Outcome.WRONG_CODE)


def test_whose_login_it_was_is_in_the_answer_or_asked_with_the_new_session():
    kratos = Kratos(whoami="api_login_aal2_success")

    assert outcome_of("api_login_success", kratos=kratos).identity_id == ALICE
    assert kratos.asked == []
    assert outcome_of("form_login_success", kratos=kratos).identity_id == ALICE
    assert outcome_of("api_login_success_aal1_of_aal2_user", kratos=kratos).identity_id == ALICE
    assert [asked[2] for asked in kratos.asked] == [
        [(b"cookie", b"ory_kratos_session=opaque")],
        [(b"x-session-token", b"ory_st_<32 chars>")],
    ]


def test_whose_second_factor_was_wrong_is_asked_with_the_old_session():
    kratos = Kratos(whoami="api_login_success")
    code = {"method": "totp", "totp_code": "000000"}

    headers = [(b"x-session-token", b"t")]
    told = outcome_of("api_login_aal2_wrong", fields=code, kratos=kratos, headers=headers)

    assert (told.identity_id, told.session_id, told.method) == (ALICE, None, "totp")
    assert outcome_of("api_login_aal2_wrong", fields=code, kratos=kratos).identity_id is None


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("api_login_success", True),
        ("spa_login_success", True),
        ("oidc_link_login_submit", True),
        ("api_login_aal2_success", False),
        ("api_registration_success", False),
    ],
)
def test_a_login_that_begins_a_session_counts_and_a_second_factor_does_not(name, counts):
    flow = "registration" if "registration" in name else "login"
    assert outcome_of(name, flow).is_login is counts


def test_a_refresh_is_no_new_session():
    once = {"method": "password", "completed_at": "2026-11-22T17:55:13Z"}
    assert is_new_session({"authentication_methods": [once]})
    assert not is_new_session({"authentication_methods": [once, once]})


def at(method, milliseconds):
    return {"method": method, "completed_at": f"2026-11-22T17:55:13.{milliseconds:03d}123456Z"}


@pytest.mark.parametrize(
    ("methods", "is_new"),
    [
        ([at("oidc", 0)], True),
        ([at("password", 0), at("oidc", 9)], True),
        ([at("oidc", 0), at("oidc", 9)], True),
        ([at("oidc", 0), at("oidc", 900)], False),
        ([at("oidc", 0), at("password", 9)], False),
        ([at("password", 0), at("oidc", 9), at("totp", 10)], False),
        ([{"method": "oidc"}, {"method": "oidc"}], False),
    ],
)
def test_two_methods_at_one_moment_are_a_login_that_linked_a_provider(methods, is_new):
    assert is_new_session({"authentication_methods": methods}) is is_new


CALLBACK = "/self-service/methods/oidc/callback/labidp"


@pytest.mark.parametrize(
    ("name", "answers", "flow", "outcome"),
    [
        ("oidc_callback_new_person", {}, "login", Outcome.SUCCESS),
        ("oidc_callback_login_json_accept", {}, "login", Outcome.SUCCESS),
        ("oidc_callback_registration_json", {}, "login", Outcome.SUCCESS),
        ("oidc_callback_inactive_json", {}, "login", Outcome.DISABLED),
        (
            "oidc_callback_existing_email",
            {"flows": "oidc_link_login_flow"},
            "login",
            Outcome.NEXT_STEP,
        ),
        (
            "oidc_callback_missing_trait",
            {"flows": "oidc_missing_trait_flow"},
            "registration",
            Outcome.VALIDATION,
        ),
        (
            "oidc_settings_link_callback",
            {"flows": "oidc_settings_unlink"},
            "settings",
            Outcome.SUCCESS,
        ),
    ],
)
def test_a_providers_callback_tells_which_flow_it_was(name, answers, flow, outcome):
    told = outcome_of(name, fields={}, kratos=Kratos(**answers), path=CALLBACK)
    assert (told.flow, told.outcome, told.method) == (flow, outcome, "oidc")


def test_a_registration_with_a_provider_is_a_login_when_it_gives_a_session():
    recorded = answer("oidc_callback_registration_json")
    told = asyncio.run(classify(submit(fields={}, path=CALLBACK), recorded, Kratos()))
    assert told.is_login

    document = json.loads(recorded.body)
    del document["session"]
    withheld = Answer(200, recorded.headers, json.dumps(document).encode())
    told = asyncio.run(classify(submit(fields={}, path=CALLBACK), withheld, Kratos()))
    assert (told.flow, told.outcome, told.is_login) == ("registration", Outcome.SUCCESS, False)


@pytest.mark.parametrize("path", [CALLBACK, "/self-service/methods/oidc/callback"])
def test_a_callback_is_one_with_and_without_the_providers_name(path):
    assert submit(fields={}, path=path).is_callback
    assert not submit(fields={}, path="/self-service/methods/oidc/callbacks").is_callback


def test_a_native_client_of_a_provider_logs_in_when_it_exchanges_its_codes():
    back = Answer(303, [(b"location", b"app://home?code=opaque")], b"")
    told = asyncio.run(classify(submit(fields={}, path=CALLBACK), back, Kratos()))
    assert (told.outcome, told.code) == (Outcome.NEXT_STEP, "token_exchange")

    told = outcome_of("oidc_native_exchange", fields={}, path="/sessions/token-exchange")
    assert (told.flow, told.method, told.is_login) == ("login", "oidc", True)
    assert told.identity_id is not None


def test_two_documents_in_one_answer_are_read_as_the_first():
    body = answer("api_login_fail").body + b'{"error":{"code":500,"message":"completed"}}'
    told = asyncio.run(classify(submit(), Answer(200, [], body), Kratos()))
    assert told.outcome is Outcome.WRONG_CREDENTIALS


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("email_not_verified", Outcome.UNVERIFIED),
        ("account_suspended", Outcome.DISABLED),
        ("account_banned", Outcome.DISABLED),
        ("account_not_ready", Outcome.REFUSED),
    ],
)
def test_a_refusal_of_our_hook_keeps_its_code(code, outcome):
    message = {"id": 9_400_041, "type": "error", "text": "", "context": {"code": code}}
    body = json.dumps({"id": FLOW, "ui": {"nodes": None, "messages": [message]}}).encode()
    told = asyncio.run(classify(submit(), Answer(400, [], body), Kratos()))
    assert (told.outcome, told.code) == (outcome, code)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (429, Outcome.LIMITED),
        (403, Outcome.REFUSED),
        (503, Outcome.UPSTREAM_ERROR),
        (None, Outcome.UPSTREAM_ERROR),
    ],
)
def test_what_kratos_never_answered_has_an_outcome_too(status, outcome):
    refused = submit()
    refused.refusal = None if status is None else Refusal(status, "code", "No.")
    assert asyncio.run(classify(refused, None, Kratos())).outcome is outcome


def test_garbage_and_silence_are_no_outcome_of_credentials():
    async def fails(*_):
        raise RefusedError(Refusal(503, "upstream_unavailable", "No."))

    empty = submit(fields={"method": "password"})
    told = asyncio.run(classify(empty, answer("form_login_fail"), fails))
    assert told.outcome is Outcome.UPSTREAM_ERROR
    told = asyncio.run(classify(submit(), answer("form_login_fail"), fails))
    assert told.outcome is Outcome.WRONG_CREDENTIALS
    told = asyncio.run(classify(submit(), answer("form_login_success"), fails))
    assert told.outcome is Outcome.SUCCESS
    for body in (b"<html>", b"[]", b"\xff", b'"'):
        told = asyncio.run(classify(submit(), Answer(502, [], body), Kratos()))
        assert told.outcome is Outcome.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("fields", "method", "identifier"),
    [
        (PASSWORD, "password", "alice"),
        ({"method": "password", "identifier": "  ALICE@x.test "}, "password", "alice@x.test"),
        ({"method": "password", "password_identifier": "Bob"}, "password", "bob"),
        ({"method": "password", "traits": {"email": "A@b.test"}}, "password", "a@b.test"),
        ({"method": "password", "traits.email": "A@b.test"}, "password", "a@b.test"),
        ({"provider": "labidp"}, "oidc", None),
        ({"totp_code": "123456"}, "totp", None),
        ({"lookup_secret": "abc"}, "lookup_secret", None),
        ({"method": "code", "email": "a@b.test"}, "code", "a@b.test"),
        ({"method": "'; drop"}, "unknown", None),
        ({"method": ["password"], "identifier": {}}, "", None),
        ({}, "", None),
    ],
)
def test_a_submit_knows_its_method_and_whom_it_names(fields, method, identifier):
    known = submit(fields=fields)
    assert (known.method, known.identifier) == (method, identifier)
