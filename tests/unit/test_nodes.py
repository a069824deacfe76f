"""Recorded flows of Kratos v1.3.1 become forms that a browser can send without scripts."""

import json
from pathlib import Path

import pytest

from integration.ory.kratos_flows import Flow, Ui
from integration.web.inputs import portable_pattern
from integration.web.nodes import arrange

RECORDINGS = Path(__file__).parents[1] / "recordings"
ALL = sorted(path.stem for path in RECORDINGS.glob("*.json") if path.stem != "error_return_to")


def view(name, **options):
    return arrange(
        Flow.model_validate_json((RECORDINGS / f"{name}.json").read_text()).ui, **options
    )


def ui(*nodes, messages=()):
    return Ui.model_validate(
        {"action": "/self-service/login?flow=1", "nodes": nodes, "messages": messages}
    )


def node(name, type_="text", group="password", messages=(), label=None, **attributes):
    meta = {"label": {"id": 1, "text": label, "type": "info"}} if label else {}
    return {
        "type": "input",
        "group": group,
        "attributes": {"name": name, "type": type_, **attributes},
        "messages": messages,
        "meta": meta,
    }


SUBMIT = node("method", "submit", value="password")
CSRF = node("csrf_token", "hidden", "default", value="csrf-token")


def fields(forms_view):
    return [f for s in forms_view.sections for form in s.forms for f in form.fields]


def form_of(forms_view, group, number=0):
    return next(s for s in forms_view.sections if s.group == group).forms[number]


@pytest.mark.parametrize("name", ALL)
def test_every_form_carries_the_csrf_token_once_and_has_a_button(name):
    for form in (form for s in view(name).sections for form in s.forms):
        assert form.buttons
        assert [value for key, value in form.hidden if key == "csrf_token"] == ["csrf-token"]


@pytest.mark.parametrize("name", ALL)
def test_no_form_sends_a_name_twice(name):
    """The edge refuses doubled fields, since readers disagree on which one counts."""
    for form in (form for s in view(name).sections for form in s.forms):
        names = [key for key, _ in form.hidden] + [field.name for field in form.fields]
        assert len(names) == len(set(names))
        assert not {button.name for button in form.buttons} & set(names)


@pytest.mark.parametrize("name", ALL)
def test_every_field_has_an_id_of_its_own_and_a_label(name):
    ids = [field.id for field in fields(view(name))]
    assert len(ids) == len(set(ids))
    assert all(field.label for field in fields(view(name)))


def test_fields_stand_in_the_order_people_expect():
    form = form_of(view("registration"), "password")
    assert [field.name for field in form.fields] == [
        "traits.email",
        "traits.username",
        "traits.first_name",
        "traits.last_name",
        "traits.display_name",
        "password",
    ]


def test_the_address_that_waits_for_confirmation_is_nothing_to_type():
    assert "traits.pending_email" not in {field.name for field in fields(view("settings"))}
    assert "traits.pending_email" not in dict(form_of(view("settings"), "profile").hidden)


def test_the_address_that_waits_for_confirmation_survives_a_save():
    waiting = node("traits.pending_email", "email", value="new@example.test")
    assert dict(form_of(arrange(ui(CSRF, waiting, SUBMIT)), "password").hidden) == {
        "csrf_token": "csrf-token",
        "traits.pending_email": "new@example.test",
    }


def test_login_shares_the_identifier_with_the_password_but_not_with_providers():
    login = view("login")
    assert [f.name for f in form_of(login, "password").fields] == ["identifier", "password"]
    assert form_of(login, "oidc").fields == ()
    assert [b.name for b in form_of(login, "oidc").buttons] == ["provider"]


def test_a_shared_field_in_two_forms_has_two_ids():
    code = node("method", "submit", "code", value="code")
    identifier = node("identifier", group="default")
    both = fields(arrange(ui(CSRF, identifier, node("password", "password"), SUBMIT, code)))
    assert [field.id for field in both] == [
        "password-identifier",
        "password-password",
        "code-identifier",
    ]


def test_asking_for_the_code_again_sends_no_half_typed_code():
    sent = view("verification_resent")
    again = form_of(sent, "code", 1)
    assert again.fields == ()
    assert [button.name for button in again.buttons] == ["email"]
    assert dict(again.hidden)["method"] == "code"
    assert [button.name for button in form_of(sent, "code").buttons] == ["method"]


def test_the_code_of_the_mails_link_is_filled_in():
    assert [field.value for field in fields(view("verification_link"))] == ["465921"]


def test_a_prefilled_code_fills_only_an_empty_field():
    prefill = {"code": "123456"}
    assert [f.value for f in fields(view("verification_sent", prefill=prefill))] == ["123456"]
    assert [f.value for f in fields(view("verification_link", prefill=prefill))] == ["465921"]


def test_passwords_are_never_echoed():
    echoed = node("password", "password", value="correct horse")
    assert [field.value for field in fields(arrange(ui(CSRF, echoed, SUBMIT)))] == [""]


def test_a_refused_field_names_its_error_and_the_summary_links_to_it():
    refused = view("registration_refused")
    username = next(f for f in fields(refused) if f.name == "traits.username")
    assert username.errors == ("Please use only letters, digits, _ and -.",)
    assert username.described_by == f"{username.id}-error {username.id}-hint"
    assert username.value == "a b"
    assert [complaint.target for complaint in refused.complaints] == [
        "password-traits-email",
        "password-traits-username",
    ]


def test_an_error_of_the_whole_form_leads_the_summary():
    [complaint] = view("login_refused").complaints
    assert complaint.target is None
    assert "password" in complaint.text


def test_an_error_on_a_field_that_is_not_shown_is_not_swallowed():
    wrong = {"id": 9_400_001, "text": "That address is taken.", "type": "error"}
    hidden = node("traits.pending_email", "email", messages=[wrong])
    [complaint] = arrange(ui(CSRF, hidden, SUBMIT)).complaints
    assert complaint.text == "That address is taken."
    assert complaint.target is None


def test_our_own_refusals_keep_their_words():
    message = {"id": 9_400_012, "text": "Own words.", "type": "error", "context": {"code": "x"}}
    [complaint] = arrange(ui(CSRF, SUBMIT, messages=[message])).complaints
    assert complaint.text == "Own words."


def test_what_is_no_error_is_a_notice():
    sent = view("verification_sent")
    assert sent.complaints == ()
    assert [notice.kind for notice in sent.notices] == ["info"]
    assert [notice.kind for notice in view("settings_saved").notices] == ["success"]


def test_the_second_step_offers_each_factor_in_a_form_of_its_own():
    second = view("login_second")
    assert [section.group for section in second.sections] == ["totp", "code", "lookup_secret"]
    assert [f.name for f in form_of(second, "totp").fields] == ["totp_code"]
    assert [b.name for b in form_of(second, "code").buttons] == ["address"]


def test_settings_show_the_authenticators_picture_and_key():
    totp = next(s for s in view("settings").sections if s.group == "totp")
    picture, secret = totp.exhibits
    assert picture.source.startswith("data:image/png;base64,")
    assert secret.items == ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",)


def test_backup_codes_are_listed_one_by_one():
    codes = next(s for s in view("settings_lookup").sections if s.group == "lookup_secret")
    assert len(codes.exhibits[0].items) == 12


@pytest.mark.parametrize(
    "unknown",
    [
        {"type": "script", "group": "webauthn", "attributes": {"src": "/x.js"}, "meta": {}},
        {"type": "hologram", "group": "password", "attributes": {"name": "x"}, "meta": {}},
        {"type": "img", "group": "password", "attributes": {"src": "https://evil.test/"}},
        {"type": "a", "group": "password", "attributes": {"href": "javascript:alert(1)"}},
        {"type": "text", "group": "password", "attributes": {"text": "no message"}},
        node("passkey_login", "button", "passkey", onclick="x()"),
        node("webauthn_login_trigger", "button"),
        {"type": "input", "group": "password", "attributes": {}},
    ],
)
def test_nodes_we_cannot_show_are_skipped(unknown):
    plain = (CSRF, node("password", "password"), SUBMIT)
    assert arrange(ui(*plain, unknown)) == arrange(ui(*plain))


def test_an_input_type_of_the_future_is_a_text_field():
    [field] = fields(arrange(ui(CSRF, node("x", "hologram", label="X"), SUBMIT)))
    assert (field.type, field.label) == ("text", "X")


def test_a_flow_without_nodes_has_no_forms():
    assert arrange(Ui.model_validate({"action": "/", "nodes": None})).sections == ()


def test_a_checkbox_sends_true_and_shows_its_state():
    box = node("traits.news", "checkbox", value=True, label="News")
    [field] = fields(arrange(ui(CSRF, box, SUBMIT)))
    assert (field.value, field.checked) == ("true", True)


@pytest.mark.parametrize(
    ("pattern", "portable"),
    [
        ("^[a-zA-Z0-9_-]+$", r"[a-zA-Z0-9_\-]+"),
        ("[0-9]+", "[0-9]+"),
        ("^[a-z]{3,30}$", "[a-z]{3,30}"),
        ("^-?[a-z]+$", None),
        (r"^\p{L}+$", None),
        ("^[^<>]+$", None),
        ("^[a-z&&b]+$", None),
        ("(a+)+$", None),
        ("", None),
    ],
)
def test_only_patterns_that_browsers_read_alike_are_passed_on(pattern, portable):
    assert portable_pattern(pattern) == portable


def test_recordings_hold_no_real_tokens():
    for path in RECORDINGS.glob("*.json"):
        for item in (json.loads(path.read_text()).get("ui") or {}).get("nodes", []):
            if item["attributes"].get("name") == "csrf_token":
                assert item["attributes"]["value"] == "csrf-token"
