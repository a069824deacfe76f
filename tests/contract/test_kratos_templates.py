"""What Kratos' templates render is what the payload models read, field by field.

The contexts under `kratos/` were recorded from Kratos v1.3.1; traits are ours.
"""

import json
from pathlib import Path

import _gojsonnet
import pytest

from hooks import payloads

ROOT = Path(__file__).parents[2]
CONTEXTS = Path(__file__).parent / "kratos"
MODELS = {
    "registration_submitted": payloads.RegistrationSubmitted,
    "registration_completed": payloads.RegistrationCompleted,
    "registration_password_submitted": payloads.RegistrationPasswordSubmitted,
    "registration_password_completed": payloads.RegistrationPasswordCompleted,
    "verification_completed": payloads.VerificationCompleted,
    "recovery_submitted": payloads.RecoverySubmitted,
    "recovery_completed": payloads.RecoveryCompleted,
    "login_submitted": payloads.LoginSubmitted,
    "settings_submitted": payloads.SettingsSubmitted,
    "settings_completed": payloads.SettingsCompleted,
    "settings_connection_completed": payloads.SettingsConnectionCompleted,
    "settings_traits_submitted": payloads.SettingsTraitsSubmitted,
    "settings_totp_completed": payloads.SettingsFactorCompleted,
    "settings_lookup_secret_completed": payloads.SettingsFactorCompleted,
    "settings_password_submitted": payloads.SettingsPasswordSubmitted,
    "settings_password_completed": payloads.SettingsPasswordCompleted,
    "courier_mail": payloads.CourierMail,
}


def render(template: str, context: str) -> dict:
    path = ROOT / "kratos" / "hooks" / f"{template}.jsonnet"
    code = (CONTEXTS / f"{context}.json").read_text()
    return json.loads(_gojsonnet.evaluate_file(str(path), tla_codes={"ctx": code}))


def test_every_template_has_a_model_and_a_context():
    templates = {path.stem for path in (ROOT / "kratos" / "hooks").glob("*.jsonnet")}
    assert templates == set(MODELS)
    assert templates <= {path.stem for path in CONTEXTS.glob("*.json")}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_template_renders_what_its_model_reads(name):
    body = render(name, name)
    assert set(body) == set(MODELS[name].model_fields)
    MODELS[name].model_validate_json(json.dumps(body))


def test_traits_that_are_not_given_are_empty():
    traits = render("registration_submitted", "registration_submitted")["traits"]
    assert traits["first_name"] == "Ada"
    assert traits["last_name"] == traits["display_name"] == ""


def test_an_address_counts_as_verified_only_when_it_is_the_one_of_the_traits():
    assert render("registration_completed", "registration_completed")["verified"] is False
    assert render("verification_completed", "verification_completed")["verified"] is True


@pytest.mark.parametrize("method", ["totp", "lookup_secret"])
def test_the_form_after_a_change_tells_whether_there_is_a_second_factor(method):
    template = f"settings_{method}_completed"
    assert render(template, template)["is_set"] is True
    assert render(template, f"{template}_removed")["is_set"] is False


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("methods/oidc/callback/demo?code=x&state=y", (True, "demo")),
        ("methods/oidc/callback?code=x&state=y", (True, "")),
        ("settings?flow=f&return_to=/self-service/methods/oidc/callback/x", (False, "")),
    ],
)
def test_the_address_tells_whether_a_provider_was_linked_and_which(path, told):
    name = "settings_connection_completed"
    context = json.loads((CONTEXTS / f"{name}.json").read_text())
    context["request_url"] = f"http://127.0.0.1:4455/self-service/{path}"
    template = str(ROOT / "kratos" / "hooks" / f"{name}.jsonnet")
    body = json.loads(_gojsonnet.evaluate_file(template, tla_codes={"ctx": json.dumps(context)}))
    assert (body["is_linked"], body["provider"]) == told


def test_a_pending_address_counts_as_verified_by_itself():
    context = json.loads((CONTEXTS / "verification_completed.json").read_text())
    identity = context["identity"]
    identity["traits"]["pending_email"] = "New@example.test"
    path = str(ROOT / "kratos" / "hooks" / "verification_completed.jsonnet")

    def body():
        return json.loads(_gojsonnet.evaluate_file(path, tla_codes={"ctx": json.dumps(context)}))

    assert (body()["pending_email"], body()["pending_verified"]) == ("New@example.test", False)
    identity["verifiable_addresses"].append(
        {"value": "new@example.test", "verified": True, "via": "email"}
    )
    assert (body()["verified"], body()["pending_verified"]) == (True, True)


@pytest.mark.parametrize("context", ["courier_mail", "courier_mail_recovery"])
def test_a_mail_brings_its_code_and_its_person(context):
    mail = payloads.CourierMail.model_validate(render("courier_mail", context))
    assert len(mail.code) == 6
    assert mail.identity_id is not None
    assert mail.code in mail.body


def test_no_hook_body_carries_a_header_a_cookie_or_a_whole_flow():
    for name in MODELS:
        text = (ROOT / "kratos" / "hooks" / f"{name}.jsonnet").read_text()
        assert "request_headers" not in text
        assert "request_cookies" not in text
        assert "function(ctx) ctx" not in text
