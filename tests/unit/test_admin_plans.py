"""What an admin's write asks for, understood before Kratos sees it."""

import json
from uuid import UUID

import pytest

from integration.edge.admin.plans import plan
from integration.edge.problems import RefusedError

ID = UUID("3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11")
OURS = {"status": "active", "role": "user"}


@pytest.mark.parametrize(
    "path",
    [f"/admin/identities/{ID}", f"/admin/identities/{str(ID).upper()}/sessions"],
)
def test_knows_whose_identity_is_written(path):
    assert plan("DELETE", path, b"").identity_id == ID


@pytest.mark.parametrize(
    "spelling",
    [f"{ID}x", f"urn:uuid:{ID}", f"{{{ID}}}", ID.hex, "not-an-id"],
)
def test_refuses_an_id_that_only_kratos_would_recognise(spelling):
    with pytest.raises(RefusedError):
        plan("DELETE", f"/admin/identities/{spelling}", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/credentials/password/config/hashed_password",
        "/created_at",
        "/verifiable_addresses/0/verified",
        "/id",
    ],
)
def test_refuses_to_patch_what_would_take_the_account_over(path):
    body = json.dumps([{"op": "replace", "path": path, "value": "x"}]).encode()
    with pytest.raises(RefusedError) as refused:
        plan("PATCH", f"/admin/identities/{ID}", body)
    assert refused.value.refusal.status == 403
    assert path in str(refused.value.refusal)


def test_status_and_role_stay_ours_whatever_is_put():
    document = {
        "schema_id": "member",
        "state": "active",
        "traits": {"email": "a@example.test", "username": "ada"},
        "metadata_public": {"status": "banned", "role": "admin", "theme": "dark"},
    }
    asked = plan("PUT", f"/admin/identities/{ID}", json.dumps(document).encode())

    written = json.loads(asked.rewritten(OURS) or b"null")

    assert written["metadata_public"] == {"status": "active", "role": "user", "theme": "dark"}
    assert asked.state == "active"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"traits":{},"traits":{}}', b"\xff"])
def test_a_body_that_is_no_identity_is_refused(body):
    with pytest.raises(RefusedError):
        plan("POST", "/admin/identities", body)
