"""An admin's unmodified SDK changes identities: our tables are true to it before it is answered."""

import itertools
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import ory_client
import psycopg
import pytest
from ory_client import (
    CreateIdentityBody,
    IdentityApi,
    JsonPatch,
    UpdateIdentityBody,
    VerifiableIdentityAddress,
)
from ory_client.exceptions import ApiException, ConflictException

HASH = "$2b$04$3GQqDMp7zwXZ4YxPB2PZ1eB0NIPjJGHsHGXvN5y/AHVuNnRwVkKXe"


@pytest.fixture
def identities(stack) -> Iterator[IdentityApi]:
    client = ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url))
    client.default_headers["Authorization"] = f"Bearer {stack.facts['admin_api_key']}"
    yield IdentityApi(client)
    client.rest_client.pool_manager.clear()


@pytest.fixture
def database(stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


def new(name: str | None = None, **changes: Any) -> CreateIdentityBody:
    name = name or secrets.token_hex(4)
    traits = {"email": f"{name}@example.test", "username": f"eve-{name}"}
    return CreateIdentityBody(schema_id="member", traits=traits, **changes)


def verified(name: str) -> CreateIdentityBody:
    address = VerifiableIdentityAddress(
        value=f"{name}@example.test", verified=True, via="email", status="completed"
    )
    return new(name, verifiable_addresses=[address])


def set_state(identities: IdentityApi, identity_id: str, state: str) -> Any:
    patch = [JsonPatch(op="replace", path="/state", value=state)]
    return identities.patch_identity(identity_id, patch)


def status_of(database: psycopg.Connection, identity_id: str) -> tuple[str, str]:
    row = database.execute(
        "select status, status_reason from members where identity_id = %s", (identity_id,)
    ).fetchone()
    assert row is not None, "no such member"
    return row


def audited(database: psycopg.Connection, identity_id: str) -> list[tuple[Any, ...]]:
    return database.execute(
        "select method, path_template, status, before, after, credentials, api_key_id"
        " from admin_audit where identity_id = %s order by at",
        (identity_id,),
    ).fetchall()


def triggers(database: psycopg.Connection, identity_id: str) -> list[tuple[str, str]]:
    return database.execute(
        "select trigger, actor from lifecycle_events where identity_id = %s order by id",
        (identity_id,),
    ).fetchall()


def test_who_is_created_is_a_member_at_once(identities, database):
    made = identities.create_identity(new())

    assert status_of(database, made.id)[0] == "pending_verification"
    assert made.metadata_public == {"status": "pending_verification", "role": "user"}


def test_who_is_created_with_a_proven_address_is_active_at_once(identities, database):
    made = identities.create_identity(verified(secrets.token_hex(4)))

    assert status_of(database, made.id)[0] == "active"


def test_nobody_is_created_as_an_admin_by_metadata(identities, database, eventually):
    made = identities.create_identity(new(metadata_public={"role": "admin", "team": "blue"}))

    assert made.metadata_public == {
        "role": "user",
        "status": "pending_verification",
        "team": "blue",
    }
    [role] = database.execute(
        "select role from members where identity_id = %s", (made.id,)
    ).fetchone()
    assert role == "user"


def test_disabling_suspends_at_once_and_enabling_lets_back_in(
    identities, database, member, eventually
):
    token = member.log_in()

    set_state(identities, member.identity_id, "inactive")

    assert status_of(database, member.identity_id) == ("suspended", "admin_api")
    assert member.me(token).status_code == 401

    set_state(identities, member.identity_id, "active")

    assert status_of(database, member.identity_id)[0] == "active"
    # Kratos would have revived it with the identity.
    assert member.me(token).status_code == 401
    assert triggers(database, member.identity_id)[-2:] == [
        ("admin_disable", "admin"),
        ("admin_enable", "admin"),
    ]
    assert eventually(member.log_in)


@pytest.mark.parametrize("status", ["banned", "deactivated", "deleted"])
def test_enabling_whom_no_arrow_leads_back_is_refused_and_kratos_untouched(
    identities, database, member, status
):
    set_state(identities, member.identity_id, "inactive")
    database.execute(
        "update members set status = %s where identity_id = %s", (status, member.identity_id)
    )

    with pytest.raises(ConflictException) as refused:
        set_state(identities, member.identity_id, "active")

    assert "state_not_allowed" in refused.value.body
    assert status_of(database, member.identity_id)[0] == status
    if status != "deleted":
        assert identities.get_identity(member.identity_id).state == "inactive"


def test_deleting_deletes_the_member(identities, database, member):
    identities.delete_identity(member.identity_id)

    assert status_of(database, member.identity_id)[0] == "deleted"
    [(method, template, status, before, after, _, _)] = audited(database, member.identity_id)[-1:]
    assert (method, template, status) == ("DELETE", "/admin/identities/{id}", 204)
    assert before["traits"] == {"email": None, "username": None}
    assert after is None


def test_what_was_written_of_a_member_goes_with_it(identities, database):
    name = secrets.token_hex(4)
    note = {"note": f"a friend of {name}"}
    made = str(identities.create_identity(new(name, metadata_admin=note)).id)
    set_state(identities, made, "inactive")

    identities.delete_identity(made)

    rows = audited(database, made)
    assert [row[0] for row in rows] == ["POST", "PATCH", "DELETE"]
    assert name not in str(rows)
    before, after = rows[1][3:5]
    assert (before["state"], after["state"]) == ("active", "inactive")
    assert before["metadata_admin"] == {"note": None}
    assert before["metadata_public"]["role"] == "user"
    assert before["verifiable_addresses"] == [{"value": None, "verified": False}]


def test_put_keeps_status_and_role_and_our_copy_follows(identities, database, member):
    changed = identities.update_identity(
        member.identity_id,
        UpdateIdentityBody(
            schema_id="member",
            state="active",
            traits={"email": f"new-{member.email}", "username": member.username},
            metadata_public={"status": "banned", "role": "admin", "team": "red"},
        ),
    )

    assert changed.metadata_public == {"status": "active", "role": "user", "team": "red"}
    [email] = database.execute(
        "select email from members where identity_id = %s", (member.identity_id,)
    ).fetchone()
    assert email == f"new-{member.email}"
    assert status_of(database, member.identity_id)[0] == "active"


def test_an_imported_hash_is_audited_without_the_hash(stack, identities, database):
    credentials = {"password": {"config": {"hashed_password": HASH}}}
    made = identities.create_identity(new(credentials=credentials))

    [(method, template, status, before, after, named, key)] = audited(database, made.id)
    assert (method, template, status) == ("POST", "/admin/identities", 201)
    assert named == ["password:hashed_password"]
    assert key in stack.facts["admin_api_key"]
    assert before is None
    assert after["traits"] == made.traits
    assert HASH not in str(after)


@pytest.mark.parametrize(
    "path",
    [
        "/credentials/password/config/hashed_password",
        "/Credentials",
        "/created_at",
        "/verifiable_addresses/0/verified",
        "/metadata_public/status",
        "/metadata_public/role",
        "",
    ],
)
def test_what_may_not_be_patched_is_named_and_nothing_changes(identities, member, path, eventually):
    # The worker tells Kratos of a verification a moment later.
    eventually(
        lambda: (
            identities.get_identity(member.identity_id).metadata_public
            == {"status": "active", "role": "user"}
        )
    )
    before = identities.get_identity(member.identity_id)

    with pytest.raises(ApiException) as refused:
        identities.patch_identity(
            member.identity_id, [JsonPatch(op="replace", path=path, value="x")]
        )

    assert refused.value.status == 403
    assert "patch_path_refused" in refused.value.body
    assert path in refused.value.body
    assert identities.get_identity(member.identity_id) == before


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_patching_all_metadata_keeps_ours(identities, member, op):
    changed = identities.patch_identity(
        member.identity_id, [JsonPatch(op=op, path="/metadata_public", value={"role": "admin"})]
    )
    assert changed.metadata_public == {"status": "active", "role": "user"}


def test_eight_patches_at_once_lose_none(identities, database, member):
    def patch(number: int) -> None:
        path = f"/metadata_public/key_{number}"
        identities.patch_identity(member.identity_id, [JsonPatch(op="add", path=path, value=1)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(patch, range(8)))

    kept = identities.get_identity(member.identity_id).metadata_public
    assert {f"key_{number}" for number in range(8)} <= set(kept)
    assert len(audited(database, member.identity_id)) >= 8


def test_settings_submits_in_flight_do_not_undo_a_disable(
    stack, identities, database, member, eventually
):
    token = {"X-Session-Token": member.log_in()}
    with httpx.Client(base_url=stack.edge_url, headers=token, timeout=30) as client:
        flow = client.get("/self-service/settings/api").json()["id"]

        def submit_until_out(number: int) -> None:
            traits = {"email": member.email, "username": member.username}
            for turn in itertools.count():
                name = {"first_name": f"A{number}-{turn}"}
                answer = client.post(
                    f"/self-service/settings?flow={flow}",
                    json={"method": "profile", "traits": {**traits, **name}},
                )
                if answer.status_code == 401:
                    return

        with ThreadPoolExecutor(6) as pool:
            submits = [pool.submit(submit_until_out, number) for number in range(6)]
            set_state(identities, member.identity_id, "inactive")
            for submit in submits:
                submit.result(60)

    assert identities.get_identity(member.identity_id).state == "inactive"
    assert status_of(database, member.identity_id)[0] == "suspended"


def test_another_spelling_of_an_id_is_not_written_to(admin, member, database):
    """Kratos takes these; a lock and a record are kept under one spelling."""
    plain = member.identity_id.replace("-", "")
    for spelling in (plain, f"urn:uuid:{member.identity_id}"):
        answer = admin.patch(
            f"/admin/identities/{spelling}",
            json=[{"op": "replace", "path": "/state", "value": "inactive"}],
        )
        assert answer.status_code == 404, spelling
    assert status_of(database, member.identity_id)[0] == "active"


def test_a_batch_registers_everybody_and_audits_each(admin, database):
    names = [secrets.token_hex(4) for _ in range(5)]
    items = [{"create": new(name).to_dict(), "patch_id": str(uuid4())} for name in names]
    items[1]["create"]["metadata_public"] = {"role": "admin"}

    answer = admin.patch("/admin/identities", json={"identities": items})

    assert answer.status_code == 200, answer.text
    made = [item["identity"] for item in answer.json()["identities"]]
    assert [item["patch_id"] for item in answer.json()["identities"]] == [
        item["patch_id"] for item in items
    ]
    for identity_id in made:
        assert status_of(database, identity_id)[0] == "pending_verification"
        [(method, template, status, *_)] = audited(database, identity_id)
        assert (method, template, status) == ("PATCH", "/admin/identities", 200)
    roles = database.execute(
        "select distinct role from members where identity_id = any(%s)", (made,)
    ).fetchall()
    assert roles == [("user",)]


def test_a_batch_of_three_megabytes_is_let_through(admin):
    """The bound on other bodies is 1 MiB."""
    padding = "x" * 3_000_000
    body = {"identities": [{"create": {**new().to_dict(), "metadata_admin": {"x": padding}}}]}

    assert admin.patch("/admin/identities", json=body).status_code == 200


def test_names_in_another_case_are_refused_on_admin_bodies(admin, member):
    """Kratos would read them, and we would not."""
    traits = {"email": member.email, "username": member.username}
    for body in (
        {"schema_id": "member", "traits": traits, "STATE": "inactive"},
        {"schema_id": "member", "traits": traits, "credentials": {"Password": {}}},
    ):
        answer = admin.put(f"/admin/identities/{member.identity_id}", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["id"] == "ambiguous_body"


@pytest.mark.parametrize("password", ["sh-1A", "Password-123", "no-capital-letters-1", "x" * 80])
def test_a_plain_password_set_by_an_admin_gets_the_rules_of_everybody(admin, password):
    """80 bytes are a 500 of Kratos itself: bcrypt reads 72."""
    body = new().to_dict() | {"credentials": {"password": {"config": {"password": password}}}}

    answer = admin.post("/admin/identities", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["id"] == "password_refused"
    assert password not in answer.text


def digests(database: psycopg.Connection, identity_id: str) -> list[bytes]:
    row = database.execute(
        "select digests from password_histories where identity_id = %s", (identity_id,)
    ).fetchone()
    return [] if row is None else row[0]


def with_password(password: str, name: str | None = None) -> dict[str, Any]:
    return new(name).to_dict() | {"credentials": {"password": {"config": {"password": password}}}}


def test_a_plain_password_set_by_an_admin_is_in_the_history_at_once(admin, database):
    body = with_password("Correct-Horse-1")
    made = admin.post("/admin/identities", json=body).json()
    assert len(digests(database, made["id"])) == 1

    changed = with_password("Correct-Horse-2") | {"traits": made["traits"], "state": "active"}
    assert admin.put(f"/admin/identities/{made['id']}", json=changed).status_code == 200
    second, first = digests(database, made["id"])
    assert second != first

    again = admin.put(f"/admin/identities/{made['id']}", json=changed)
    assert again.status_code == 200
    assert digests(database, made["id"])[0] == second


def test_passwords_of_a_batch_enter_the_histories_of_their_own_members(admin, database):
    names = [secrets.token_hex(4) for _ in range(2)]
    imported, plain = [with_password("Correct-Horse-1", name) for name in names]
    imported["credentials"] = {"password": {"config": {"hashed_password": HASH}}}
    # Kratos takes an empty item, and answers null in its place.
    body = {"identities": [{}, {"create": imported}, {"create": plain}]}
    answered = admin.patch("/admin/identities", json=body).json()["identities"]

    assert answered[0] is None
    kept = [len(digests(database, item["identity"])) for item in answered[1:]]
    assert kept == [0, 1]


def test_a_batch_names_nobody_who_is_not_there(admin, database):
    """Kratos itself undoes the whole batch for the one that exists, and names ids all the same."""
    taken, *others = [new(secrets.token_hex(4)).to_dict() for _ in range(3)]
    admin.post("/admin/identities", json=taken)
    ids = [str(uuid4()) for _ in range(3)]
    items = [
        {"create": body, "patch_id": each} for body, each in zip((taken, *others), ids, strict=True)
    ]
    answer = admin.patch("/admin/identities", json={"identities": items})

    assert answer.status_code == 200
    for item, patch_id in zip(answer.json()["identities"], ids, strict=True):
        if item["action"] == "create":
            assert admin.get(f"/admin/identities/{item['identity']}").status_code == 200
        else:
            assert item["error"]["code"] == 409
            assert item["patch_id"] == patch_id
    assert answer.json()["identities"][0]["action"] == "error"


def test_a_password_of_half_a_character_is_refused(admin):
    body = json.dumps(with_password("Correct-Horse-1")).replace("Horse", "\\ud800")
    answer = admin.post(
        "/admin/identities", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["id"] == "malformed_body"
