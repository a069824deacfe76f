"""Which providers Kratos is told of: the operator's file, the demo, and neither by accident."""

import json
from dataclasses import replace
from pathlib import Path

import _gojsonnet
import pytest
import yaml

from integration.errors import StackError
from integration.launch import ports
from integration.launch.configuration import render
from integration.launch.home import CHECKOUT
from integration.launch.openid import all_providers, demo_for, read_providers
from integration.settings import StackSettings
from tests.unit.test_launch_parts import KRATOS_VALUES

GOOGLE = {
    "id": "google",
    "provider": "google",
    "client_id": "a",
    "client_secret": 'b: {c} ${D} "e" # f\n',
    "scope": ["email", "profile"],
}
MAPPER = CHECKOUT / "kratos" / "oidc" / "claims.jsonnet"


@pytest.fixture
def write(tmp_path):
    def written(*providers) -> Path:
        path = tmp_path / "providers.yml"
        path.write_text(yaml.safe_dump({"providers": list(providers)}))
        return path

    return written


def settings(**given) -> StackSettings:
    return StackSettings.model_validate(given)


def test_a_provider_of_the_file_reaches_kratos_as_it_was_written(write, tmp_path):
    given = read_providers(write(GOOGLE, {**GOOGLE, "id": "own", "mapper_url": "file:///mine"}))
    values = replace(KRATOS_VALUES, oidc_providers=given)
    render(CHECKOUT / "kratos" / "kratos.yml", values, tmp_path / "kratos.yml")

    told = yaml.safe_load((tmp_path / "kratos.yml").read_text())
    [first, second] = told["selfservice"]["methods"]["oidc"]["config"]["providers"]
    assert first == {**GOOGLE, "mapper_url": "file:///etc/kratos/oidc/claims.jsonnet"}
    assert second["mapper_url"] == "file:///mine"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"id": "a:b"}, "id"),
        ({"id": "../x"}, "id"),
        ({"client_id": ""}, "client_id"),
        ({"issuer_url": "http://login.example.org"}, "https"),
        ({"token_url": "http://login.example.org/token"}, "https"),
    ],
)
def test_a_provider_that_cannot_be_is_refused_without_a_secret(write, wrong, words):
    with pytest.raises(StackError) as refused:
        read_providers(write({**GOOGLE, **wrong}))
    assert words in str(refused.value)
    assert "b: {c}" not in str(refused.value)


def test_two_providers_of_one_id_are_refused(write):
    with pytest.raises(StackError, match="id of its own"):
        read_providers(write(GOOGLE, GOOGLE))


def test_a_file_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(StackError, match="cannot be read"):
        read_providers(tmp_path / "missing.yml")
    broken = tmp_path / "broken.yml"
    broken.write_text("providers: [secret-in-a-broken-file")
    with pytest.raises(StackError) as refused:
        read_providers(broken)
    assert "secret" not in str(refused.value)


def test_the_file_of_the_repository_names_nobody():
    assert read_providers(CHECKOUT / "kratos" / "oidc" / "providers.yml") == ()


@pytest.mark.parametrize(
    ("public_url", "runs"),
    [
        ("http://127.0.0.1:4455/", True),
        ("http://localhost:4455/", True),
        ("https://id.example/", False),
        ("http://192.168.1.7:4455/", False),
        ("http://127.0.0.1.evil.example/", False),
    ],
)
def test_the_demo_runs_only_where_nobody_else_can_come(public_url, runs):
    assert (demo_for(settings(), public_url) is not None) is runs
    assert demo_for(settings(demo_provider=False), public_url) is None


def test_the_demos_secret_is_new_with_every_start():
    demos = [demo_for(settings(), "http://127.0.0.1:4455/") for _ in range(2)]
    assert len({demo.client_secret for demo in demos if demo}) == 2


def test_the_demos_name_is_the_demos(write):
    demo = demo_for(settings(), "http://127.0.0.1:4455/")
    with pytest.raises(StackError, match="demo"):
        all_providers(settings(oidc_providers=write({**GOOGLE, "id": "demo"})), demo)


def test_a_demo_that_does_not_run_needs_no_port():
    assert "port_oidc" in ports.of(settings())
    assert "port_oidc" not in ports.of(settings(demo_provider=False))


def mapped(**claims):
    claims = {"iss": "x", "sub": "y", **claims}
    text = _gojsonnet.evaluate_file(str(MAPPER), ext_codes={"claims": json.dumps(claims)})
    return json.loads(text)["identity"]


def test_claims_become_traits():
    identity = mapped(
        email="Ada@Example.test",
        email_verified=True,
        preferred_username="ada_7",
        name="Ada L. King-Noel",
        given_name=" Ada ",
        family_name="King",
    )
    assert identity["traits"] == {
        "email": "Ada@Example.test",
        "username": "ada_7",
        "display_name": "Ada L. King-Noel",
        "first_name": "Ada",
        "last_name": "King",
    }
    assert identity["verified_addresses"] == [{"via": "email", "value": "Ada@Example.test"}]


@pytest.mark.parametrize("word", [False, "true", 1, "yes"])
def test_only_a_plain_yes_vouches_for_an_address(word):
    assert mapped(email="a@b.test", email_verified=word)["verified_addresses"] == []


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "ab"},
        {"preferred_username": "x" * 31},
        {"preferred_username": "ada@example.test"},
        {"preferred_username": "ада"},
        {"preferred_username": 7},
        {"preferred_username": ["ada"]},
        {"name": "Zoë"},
        {"name": "x" * 51},
        {"given_name": "x" * 101, "family_name": ""},
        {"given_name": None},
        {"email": "", "email_verified": True},
        {"pending_email": "a@b.test", "role": "admin", "metadata_public": {"role": "admin"}},
    ],
    ids=str,
)
def test_what_no_member_could_have_is_left_out(claims):
    identity = mapped(**claims)
    assert identity == {"traits": {}, "verified_addresses": []}
