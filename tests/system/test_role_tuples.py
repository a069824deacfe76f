"""An application that knows Ory alone changes somebody's role, in the whole stack."""

import ory_client
import pytest
from ory_client import CreateRelationshipBody, RelationshipApi
from ory_client.exceptions import ApiException


@pytest.fixture
def relations(stack):
    client = ory_client.ApiClient(ory_client.Configuration(host=stack.edge_url))
    client.default_headers["Authorization"] = f"Bearer {stack.facts['admin_api_key']}"
    yield RelationshipApi(client)
    client.rest_client.pool_manager.clear()


@pytest.fixture
def member(person, permissions, eventually):
    person.register()
    person.verify()
    eventually(lambda: may(permissions, person, "enter"))
    return person


def may(permissions, person, permit):
    return permissions.check_permission(
        namespace="Platform", object="main", relation=permit, subject_id=person.identity_id
    ).allowed


def test_a_role_tuple_is_true_everywhere_once_it_is_answered(
    member, relations, permissions, admin, eventually
):
    moderators = {
        "namespace": "Platform",
        "object": "main",
        "relation": "moderators",
        "subject_id": member.identity_id,
    }

    made = relations.create_relationship(CreateRelationshipBody(**moderators))

    assert made.to_dict() == moderators
    assert may(permissions, member, "moderate")
    assert member.me(member.log_in()).json()["role"] == "moderator"
    identity = f"/admin/identities/{member.identity_id}"
    eventually(lambda: admin.get(identity).json()["metadata_public"]["role"] == "moderator")

    relations.delete_relationships(**moderators)

    assert not may(permissions, member, "moderate")
    assert may(permissions, member, "participate")
    assert member.me(member.log_in()).json()["role"] == "user"


def test_the_gate_stays_what_the_state_says(member, relations, permissions, admin):
    gate = {
        "namespace": "Platform",
        "object": "main",
        "relation": "active",
        "subject_id": member.identity_id,
    }
    with pytest.raises(ApiException) as caught:
        relations.delete_relationships(**gate)
    assert caught.value.status == 409
    assert may(permissions, member, "enter")

    operations = [{"op": "replace", "path": "/state", "value": "inactive"}]
    assert (
        admin.patch(f"/admin/identities/{member.identity_id}", json=operations).status_code == 200
    )
    with pytest.raises(ApiException) as caught:
        relations.create_relationship(CreateRelationshipBody(**gate))
    assert caught.value.status == 409
