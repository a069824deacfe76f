"""Unmodified Ory clients get through the edge what they get from Kratos and Keto themselves.

Each scenario runs once straight at the servers and once through the edge. What may differ is
listed in `docs/compatibility.md`, and left out in `two_ways.py` or named here.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ory_client import (
    BatchCheckPermissionBody,
    CreateIdentityBody,
    CreateRecoveryCodeForIdentityBody,
    CreateRecoveryLinkForIdentityBody,
    CreateRelationshipBody,
    IdentityApi,
    IdentityPatch,
    JsonPatch,
    PatchIdentitiesBody,
    PerformNativeLogoutBody,
    Relationship,
    RelationshipPatch,
    UpdateIdentityBody,
    UpdateLoginFlowBody,
    UpdateLoginFlowWithPasswordMethod,
    UpdateLoginFlowWithTotpMethod,
    UpdateRecoveryFlowBody,
    UpdateRecoveryFlowWithCodeMethod,
    UpdateRegistrationFlowBody,
    UpdateRegistrationFlowWithPasswordMethod,
    UpdateSettingsFlowBody,
    UpdateSettingsFlowWithPasswordMethod,
    UpdateSettingsFlowWithProfileMethod,
    UpdateSettingsFlowWithTotpMethod,
    UpdateVerificationFlowBody,
    UpdateVerificationFlowWithCodeMethod,
)
from ory_client.exceptions import ApiException

from tests.system.two_ways import Way, both_ways, differences, totp

HASH = "$2b$04$3GQqDMp7zwXZ4YxPB2PZ1eB0NIPjJGHsHGXvN5y/AHVuNnRwVkKXe"


@pytest.fixture
def ways(stack) -> Iterator[tuple[Way, Way]]:
    with ExitStack() as opened:
        yield both_ways(stack, opened)


def compare(ways: tuple[Way, Way], scenario: Callable[[Way], None]) -> None:
    direct, through = ways
    scenario(direct)
    scenario(through)
    assert [each.call for each in direct.answers] == [each.call for each in through.answers]
    for number, (straight, edged) in enumerate(zip(direct.answers, through.answers, strict=True)):
        if isinstance(straight.body, dict) and straight.body.get("type") == "api":
            straight.cookies = []  # taken away: a native client would send them, and be refused
            leave_out_the_mailed_code(straight.body)
        assert differences(asdict(edged), asdict(straight), f"{number} {straight.call}") == []


def leave_out_the_mailed_code(flow: dict[str, Any]) -> None:
    """Who has a second factor of its own is not offered the mailed code through the edge."""
    nodes = flow.get("ui", {}).get("nodes") or []
    if flow.get("requested_aal") == "aal2" and any(node["group"] == "totp" for node in nodes):
        flow["ui"]["nodes"] = [node for node in nodes if node["group"] != "code"]


def password_login(way: Way, password: str | None = None, **more: Any) -> UpdateLoginFlowBody:
    return UpdateLoginFlowBody(
        UpdateLoginFlowWithPasswordMethod(
            method="password", identifier=way.email, password=password or way.password, **more
        )
    )


def log_in(way: Way) -> str:
    flow = way.call(way.front.create_native_login_flow)
    way.call(way.front.update_login_flow, flow["id"], password_login(way))
    return str(way.raw["session_token"])


# Native


def test_native_login_sessions_and_logout(ways):
    def scenario(way: Way) -> None:
        front = way.front
        way.call(front.to_session)
        flow = way.call(front.create_native_login_flow)
        way.call(front.get_login_flow, flow["id"])
        way.call(front.get_login_flow, str(uuid4()))
        way.call(front.update_login_flow, flow["id"], password_login(way, "Wrong-Horse-1"))
        way.call(front.update_login_flow, flow["id"], password_login(way))
        token = way.raw["session_token"]
        way.call(front.to_session, x_session_token=token)
        other = log_in(way)
        way.call(front.to_session, x_session_token=other)
        other_id = way.raw["id"]
        way.call(front.list_my_sessions, x_session_token=token)
        way.call(front.disable_my_session, other_id, x_session_token=token)
        way.call(front.to_session, x_session_token=other)
        log_in(way)
        way.call(front.disable_my_other_sessions, x_session_token=token)
        way.call(front.create_native_login_flow, x_session_token=token)
        way.call(front.create_native_login_flow, refresh=True, x_session_token=token)
        way.call(front.update_login_flow, way.raw["id"], password_login(way), x_session_token=token)
        way.call(front.perform_native_logout, PerformNativeLogoutBody(session_token=token))
        way.call(front.to_session, x_session_token=token)

    compare(ways, scenario)


def test_native_registration_up_to_the_password(ways):
    """A password that the edge did not see is refused: an intended difference, below."""

    def scenario(way: Way) -> None:
        flow = way.call(way.front.create_native_registration_flow)
        way.call(way.front.get_registration_flow, flow["id"])
        for traits in ({"email": "no address", "username": "ada"}, {"username": "ada"}):
            method = UpdateRegistrationFlowWithPasswordMethod(
                method="password", password=way.password, traits=traits
            )
            body = UpdateRegistrationFlowBody(method)
            way.call(way.front.update_registration_flow, flow["id"], body)

    compare(ways, scenario)


def test_a_registration_succeeds_through_the_edge_alone(ways):
    direct, through = ways
    for way in (direct, through):
        name = secrets.token_hex(4)
        flow = way.call(way.front.create_native_registration_flow)
        method = UpdateRegistrationFlowWithPasswordMethod(
            method="password",
            password=f"Correct-Horse-{name[::-1]}",
            traits={"email": f"{name}@example.test", "username": f"eve-{name}"},
        )
        body = UpdateRegistrationFlowBody(method)
        way.call(way.front.update_registration_flow, flow["id"], body)

    assert [direct.answers[-1].status, through.answers[-1].status] == [400, 200]
    assert "password_unchecked" in str(direct.raw)
    steps = [step["action"] for step in through.raw["continue_with"]]
    assert steps == ["show_verification_ui"]


def test_native_verification_and_recovery(ways):
    def scenario(way: Way) -> None:
        front = way.front
        flow = way.call(front.create_native_verification_flow)
        way.call(front.get_verification_flow, flow["id"])
        method = UpdateVerificationFlowWithCodeMethod(method="code", email=way.email)
        way.call(front.update_verification_flow, flow["id"], UpdateVerificationFlowBody(method))
        wrong = UpdateVerificationFlowWithCodeMethod(method="code", code="000000")
        way.call(front.update_verification_flow, flow["id"], UpdateVerificationFlowBody(wrong))

        flow = way.call(front.create_native_recovery_flow)
        way.call(front.get_recovery_flow, flow["id"])
        method = UpdateRecoveryFlowWithCodeMethod(method="code", email=way.email)
        way.call(front.update_recovery_flow, flow["id"], UpdateRecoveryFlowBody(method))
        wrong = UpdateRecoveryFlowWithCodeMethod(method="code", code="000000")
        way.call(front.update_recovery_flow, flow["id"], UpdateRecoveryFlowBody(wrong))

    compare(ways, scenario)


def test_native_recovery_goes_on_with_a_session_token(ways, people):
    """Configured in Kratos: without it, native clients end in a redirect to a page."""

    def scenario(way: Way) -> None:
        flow = way.call(way.front.create_native_recovery_flow)
        asked = UpdateRecoveryFlowWithCodeMethod(method="code", email=way.email)
        way.call(way.front.update_recovery_flow, flow["id"], UpdateRecoveryFlowBody(asked))
        somebody = people()
        somebody.email = way.email
        given = UpdateRecoveryFlowWithCodeMethod(method="code", code=somebody.code())
        way.call(way.front.update_recovery_flow, flow["id"], UpdateRecoveryFlowBody(given))
        actions = [step["action"] for step in way.raw["continue_with"]]
        assert actions == ["set_ory_session_token", "show_settings_ui"]

    compare(ways, scenario)


def test_native_settings_and_second_factor(ways):
    def scenario(way: Way) -> None:
        front, token = way.front, log_in(way)
        flow = way.call(front.create_native_settings_flow, x_session_token=token)
        way.call(front.get_settings_flow, flow["id"], x_session_token=token)
        way.call(front.get_settings_flow, flow["id"])
        traits = {"email": way.email, "username": way.username, "first_name": "Ada"}
        profile = UpdateSettingsFlowWithProfileMethod(method="profile", traits=traits)
        body = UpdateSettingsFlowBody(profile)
        way.call(front.update_settings_flow, flow["id"], body, x_session_token=token)
        wrong = UpdateSettingsFlowWithTotpMethod(method="totp", totp_code="000000")
        way.call(
            front.update_settings_flow,
            flow["id"],
            UpdateSettingsFlowBody(wrong),
            x_session_token=token,
        )
        nodes = {
            node["attributes"].get("id"): node["attributes"] for node in way.raw["ui"]["nodes"]
        }
        secret = nodes["totp_secret_key"]["text"]["text"]
        right = UpdateSettingsFlowWithTotpMethod(method="totp", totp_code=totp(secret))
        way.call(
            front.update_settings_flow,
            flow["id"],
            UpdateSettingsFlowBody(right),
            x_session_token=token,
        )

        token = log_in(way)
        flow = way.call(front.create_native_login_flow, aal="aal2", x_session_token=token)
        for code in ("000000", totp(secret)):
            second = UpdateLoginFlowWithTotpMethod(method="totp", totp_code=code)
            body = UpdateLoginFlowBody(second)
            way.call(front.update_login_flow, flow["id"], body, x_session_token=token)
        way.call(front.to_session, x_session_token=token)

    compare(ways, scenario)


def test_a_password_changes_through_the_edge_alone(ways):
    direct, through = ways
    for way in (direct, through):
        token = log_in(way)
        flow = way.call(way.front.create_native_settings_flow, x_session_token=token)
        method = UpdateSettingsFlowWithPasswordMethod(
            method="password", password=f"Another-Horse-{secrets.token_hex(4)}"
        )
        body = UpdateSettingsFlowBody(method)
        way.call(way.front.update_settings_flow, flow["id"], body, x_session_token=token)

    assert [direct.answers[-1].status, through.answers[-1].status] == [400, 200]
    assert "password_unchecked" in str(direct.raw)
    assert through.raw["state"] == "success"


# Browser clients that speak JSON


def test_a_browser_in_json(ways):
    def scenario(way: Way) -> None:
        front = way.front
        flow = way.call(front.create_browser_login_flow)
        way.call(front.get_login_flow, flow["id"], cookie=way.cookie)
        csrf = way.csrf()
        way.call(front.update_login_flow, flow["id"], password_login(way))
        for password in ("Wrong-Horse-1", None):
            body = password_login(way, password, csrf_token=csrf)
            way.call(front.update_login_flow, flow["id"], body, cookie=way.cookie)
        way.call(front.to_session, cookie=way.cookie)
        way.call(front.create_browser_login_flow, cookie=way.cookie)
        way.call(front.list_my_sessions, cookie=way.cookie)
        flow = way.call(front.create_browser_settings_flow, cookie=way.cookie)
        csrf = way.csrf()
        traits = {"email": way.email, "username": way.username, "last_name": "Lovelace"}
        profile = UpdateSettingsFlowWithProfileMethod(
            method="profile", traits=traits, csrf_token=csrf
        )
        body = UpdateSettingsFlowBody(profile)
        way.call(front.update_settings_flow, flow["id"], body, cookie=way.cookie)
        logout = way.call(front.create_browser_logout_flow, cookie=way.cookie)
        way.call(front.update_logout_flow, token=logout["logout_token"], cookie=way.cookie)
        way.call(front.to_session, cookie=way.cookie)
        way.call(front.create_browser_settings_flow)

    compare(ways, scenario)


def test_a_browser_starts_every_other_flow(ways):
    def scenario(way: Way) -> None:
        front = way.front
        way.call(front.create_browser_registration_flow)
        way.call(front.get_registration_flow, way.raw["id"], cookie=way.cookie)
        way.call(front.create_browser_recovery_flow)
        way.call(front.get_recovery_flow, way.raw["id"], cookie=way.cookie)
        way.call(front.create_browser_verification_flow)
        way.call(front.get_verification_flow, way.raw["id"], cookie=way.cookie)

    compare(ways, scenario)


# Admins


def test_identities(ways):
    def scenario(way: Way) -> None:
        api, name = way.identities, secrets.token_hex(4)
        way.email, way.username = f"{name}@example.test", f"eve-{name}"
        traits = {"email": way.email, "username": way.username}
        new = CreateIdentityBody(
            schema_id="member",
            traits=traits,
            metadata_public={"team": "blue"},
            metadata_admin={"note": 1},
            credentials={"password": {"config": {"password": f"Correct-Horse-{name[::-1]}"}}},
        )
        made = way.call(api.create_identity, new)["id"]
        way.call(api.create_identity, new)
        way.call(api.create_identity, CreateIdentityBody(schema_id="none", traits=traits))
        way.call(api.create_identity, CreateIdentityBody(schema_id="member", traits={}))
        way.call(api.get_identity, made)
        way.call(api.get_identity, made, include_credential=["password"])
        way.call(api.get_identity, str(uuid4()))
        way.call(api.list_identities, ids=[made])
        way.call(api.list_identities, credentials_identifier=way.email)
        way.call(api.list_identities, credentials_identifier=way.username)
        way.call(api.list_identities, preview_credentials_identifier_similar=way.email)
        way.call(api.list_identities, ids=[made], include_credential=["password"])
        way.call(api.list_identities, ids=[made], page_size=1)
        way.call(api.list_identities, page=0, per_page=1)
        way.answers.pop()  # the first of all is whoever it is by then
        for op, path, value in (
            ("add", "/metadata_public/colour", "red"),
            ("replace", "/traits/username", f"{way.username}-2"),
            ("replace", "/traits/email", "no address"),
            ("remove", "/metadata_admin/note", None),
            ("remove", "/metadata_admin/none", None),
            ("replace", "/state", "inactive"),
            ("replace", "/state", "no state"),
            ("replace", "/state", "active"),
            ("test", "/state", "active"),
        ):
            way.call(api.patch_identity, made, [JsonPatch(op=op, path=path, value=value)])
        way.call(
            api.update_identity,
            made,
            UpdateIdentityBody(
                schema_id="member", state="active", traits=traits, metadata_public={"team": "red"}
            ),
        )
        way.call(api.delete_identity_credentials, made, "totp")
        way.call(api.delete_identity_credentials, made, "password")
        way.call(
            api.create_recovery_code_for_identity,
            create_recovery_code_for_identity_body=CreateRecoveryCodeForIdentityBody(
                identity_id=made
            ),
        )
        way.call(
            api.create_recovery_link_for_identity,
            create_recovery_link_for_identity_body=CreateRecoveryLinkForIdentityBody(
                identity_id=made
            ),
        )
        way.call(api.list_identity_sessions, made)
        way.call(api.delete_identity_sessions, made)
        way.call(api.delete_identity, made)
        way.call(api.delete_identity, made)
        schemas = IdentityApi(way.front.api_client)  # the admin port redirects
        way.call(schemas.list_identity_schemas)
        way.call(schemas.get_identity_schema, "member")

    compare(ways, scenario)


def test_an_import_and_a_batch(ways):
    def scenario(way: Way) -> None:
        api, name = way.identities, secrets.token_hex(4)
        way.email, way.username = f"{name}@example.test", f"eve-{name}"
        imported = CreateIdentityBody(
            schema_id="member",
            traits={"email": way.email, "username": way.username},
            credentials={"password": {"config": {"hashed_password": HASH}}},
        )
        way.call(api.create_identity, imported)
        bad = {"password": {"config": {"hashed_password": "no hash"}}}
        other = {"email": f"x{way.email}", "username": f"{way.username}-x"}
        way.call(
            api.create_identity,
            CreateIdentityBody(schema_id="member", traits=other, credentials=bad),
        )
        new = IdentityPatch(
            create=CreateIdentityBody(schema_id="member", traits=other), patch_id=str(uuid4())
        )
        way.call(
            api.batch_patch_identities,
            patch_identities_body=PatchIdentitiesBody(identities=[new]),
        )

    compare(ways, scenario)


def test_a_batch_of_which_one_exists_makes_none_and_says_so(ways):
    """On PostgreSQL Kratos undoes the whole batch, and yet names ids for the others."""
    answers = []
    for way in ways:
        name = secrets.token_hex(4)
        taken = {"email": f"{name}@example.test", "username": f"eve-{name}"}
        way.call(
            way.identities.create_identity, CreateIdentityBody(schema_id="member", traits=taken)
        )
        wanted = ({"email": f"x{name}@example.test", "username": f"eve-{name}-x"}, taken)
        items = [
            IdentityPatch(
                create=CreateIdentityBody(schema_id="member", traits=traits), patch_id=str(uuid4())
            )
            for traits in wanted
        ]
        way.call(
            way.identities.batch_patch_identities,
            patch_identities_body=PatchIdentitiesBody(identities=items),
        )
        answers.append(way.raw["identities"])

    direct, through = answers
    way = ways[1]
    assert [item["action"] for item in through] == ["error", "error"]
    for item in direct:
        if item["action"] == "create":
            way.call(way.identities.get_identity, item["identity"])
            assert way.answers[-1].status == 404


def test_an_admins_view_of_sessions(ways):
    def scenario(way: Way) -> None:
        api = way.identities
        token = log_in(way)
        way.call(way.front.to_session, x_session_token=token)
        session_id = way.raw["id"]
        way.call(api.list_identity_sessions, way.identity_id)
        way.call(api.get_session, session_id, expand=["identity", "devices"])
        way.call(api.get_session, str(uuid4()))
        way.call(api.list_sessions, page_size=1, active=True)
        way.answers.pop()  # whoever logged in last
        way.call(api.extend_session, session_id)
        way.call(api.disable_session, session_id)
        way.call(way.front.to_session, x_session_token=token)
        log_in(way)
        way.call(api.delete_identity_sessions, way.identity_id)

    compare(ways, scenario)


# Permissions


def test_relationships_and_permissions(ways):
    def scenario(way: Way) -> None:
        way.username = f"object-{secrets.token_hex(4)}"
        read, write = way.permissions, way.relations
        way.email = str(uuid4())
        fact = {
            "namespace": "Channel",
            "object": way.username,
            "relation": "owners",
            "subject_id": way.email,
        }
        way.call(write.create_relationship, CreateRelationshipBody(**fact))
        way.call(read.check_permission, **fact)
        way.call(read.check_permission, **{**fact, "subject_id": str(uuid4())})
        way.call(read.check_permission_or_error, **{**fact, "subject_id": str(uuid4())})
        way.call(read.check_permission, **{**fact, "namespace": "None"})
        way.call(read.post_check_permission, post_check_permission_body=fact)
        way.call(read.post_check_permission_or_error, post_check_permission_or_error_body=fact)
        way.call(read.expand_permissions, "Channel", way.username, "owners", max_depth=3)
        other = Relationship(**{**fact, "subject_id": str(uuid4())})
        way.call(
            write.patch_relationships, [RelationshipPatch(action="insert", relation_tuple=other)]
        )
        way.call(write.delete_relationships, namespace="Channel", object=way.username)

    compare(ways, scenario)


def test_writing_relationships(ways):
    """Each way has objects of its own, and each kind of subject."""

    def scenario(way: Way) -> None:
        way.username, way.email = f"object-{secrets.token_hex(4)}", str(uuid4())
        write, read = way.relations, way.permissions
        edge = {
            "namespace": "Content",
            "object": way.username,
            "relation": "platform",
            "subject_set": {"namespace": "Platform", "object": "main", "relation": ""},
        }
        audience = {
            **edge,
            "relation": "audience",
            "subject_set": {"namespace": "Platform", "object": "main", "relation": "active"},
        }
        fact = {
            "namespace": "Content",
            "object": way.username,
            "relation": "editors",
            "subject_id": way.email,
        }
        way.call(write.create_relationship, CreateRelationshipBody.from_dict(edge))
        way.call(write.create_relationship, CreateRelationshipBody.from_dict(fact))

        def patch(*operations: tuple[str, dict[str, Any]]) -> None:
            patches = [
                RelationshipPatch(action=action, relation_tuple=Relationship.from_dict(item))
                for action, item in operations
            ]
            way.call(write.patch_relationships, patches)

        patch()
        patch(("insert", audience), ("delete", fact))
        patch(("insert", fact), ("delete", {**fact, "subject_id": str(uuid4())}))
        way.call(read.check_permission, "Content", way.username, "view", subject_id=way.identity_id)
        inner = {f"subject_set_{name}": value for name, value in edge["subject_set"].items()}
        way.call(write.delete_relationships, namespace="Content", object=way.username, **inner)
        way.call(write.delete_relationships, **fact)
        way.call(write.delete_relationships, namespace="Content", object=way.username)
        way.call(write.delete_relationships, namespace="Content", object=way.username)

    compare(ways, scenario)


def test_a_relationship_that_is_there_is_answered_as_if_it_were_new(ways):
    """Keto would store it a second time."""
    _, through = ways
    body = CreateRelationshipBody(
        namespace="Channel", object=secrets.token_hex(4), relation="owners", subject_id=str(uuid4())
    )
    for _ in range(2):
        through.call(through.relations.create_relationship, body)

    first, again = through.answers
    assert asdict(first) == asdict(again)
    through.relations.api_client.configuration.host = through.bases[-1]
    listed = through.relations.get_relationships(namespace="Channel", object=body.object)
    assert len(listed.relation_tuples or []) == 1


def test_a_refused_relationship_is_an_exception_that_an_sdk_can_read(ways):
    _, through = ways
    body = {"namespace": "Content", "object": "a", "relation": "owners", "subject_id": str(uuid4())}
    refused = {
        "namespace_unknown": {"namespace": "Nothing"},
        "relation_unknown": {"relation": "fans"},
        "permit_not_writable": {"relation": "view"},
        "subject_malformed": {"subject_id": "ada"},
        "object_malformed": {"object": "a b"},
        "gate_follows_status": {"namespace": "Platform", "object": "main", "relation": "active"},
        "platform_is_one": {"namespace": "Platform", "object": "other", "relation": "active"},
    }
    for code, change in refused.items():
        with pytest.raises(ApiException) as caught:
            through.relations.create_relationship(CreateRelationshipBody(**(body | change)))
        assert json.loads(caught.value.body)["error"]["id"] == code
    with pytest.raises(ApiException) as caught:
        through.relations.delete_relationships(namespace="Profile")
    assert caught.value.status == 428


def test_reading_relationships(stack, ways):
    direct, _ = ways
    port = stack.environ["KLEIS_PORT_KETO_READ"]
    direct.relations.api_client.configuration.host = f"http://127.0.0.1:{port}"

    def scenario(way: Way) -> None:
        way.call(way.relations.list_relationship_namespaces)
        way.answers[-1].body["namespaces"].sort(key=str)  # Keto's order is by chance
        way.call(way.relations.get_relationships, namespace="Platform", relation="admins")
        way.call(way.relations.get_relationships, namespace="None")
        way.call(way.relations.get_relationships, namespace="Platform", page_size=1)

    compare(ways, scenario)


def test_a_batch_of_checks_is_answered_by_the_edge(ways):
    """Keto v0.13 has none."""
    _, through = ways
    fact = {"namespace": "Platform", "object": "main", "relation": "active"}
    mine = Relationship(**fact, subject_id=through.identity_id)
    strangers = Relationship(**fact, subject_id=str(uuid4()))
    body = BatchCheckPermissionBody(tuples=[mine, strangers])

    answer = through.permissions.batch_check_permission(batch_check_permission_body=body)

    assert [bool(result.allowed) for result in answer.results][1] is False
    assert len(answer.results) == 2


# Where Kratos itself breaks clients


def test_a_second_factor_flow_without_a_second_factor_can_be_parsed(ways):
    _, through = ways
    nodes = []
    for way in ways:
        token = log_in(way)
        way.call(way.front.create_native_login_flow, aal="aal2", x_session_token=token)
        nodes.append(way.raw)
    through.front.create_native_login_flow(aal="aal2", x_session_token=log_in(through))

    if "ui" in nodes[0] and nodes[0]["ui"]["nodes"] is None:
        assert nodes[1]["ui"]["nodes"] == []


def test_a_native_client_that_keeps_cookies_does_not_shut_itself_out(ways):
    direct, through = ways
    for way in ways:
        flow = way.call(way.front.create_native_verification_flow)
        way.call(way.front.get_verification_flow, flow["id"])

    assert direct.answers[-1].cookies
    assert through.answers[-1].cookies == []
    assert through.answers[-1].body == direct.answers[-1].body


def test_the_list_of_differences_names_what_is_tested_here():
    text = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text()
    for word in ("metadata_public", "password_unchecked", "Set-Cookie", "ui.nodes", "Location",
                 "batch/check", "expand", "patch_path_refused", "state_not_allowed",
                 "namespace_unknown", "permit_not_writable", "gate_follows_status",
                 "confirmation_required", "X-Kleis-Confirm", "X-Kleis-Epoch"):  # fmt: skip
        assert word in text, word
