"""What time brings about: codes and members that expire, and the way back."""

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from ory_client import UpdateRecoveryFlowBody, UpdateRecoveryFlowWithCodeMethod
from ory_client.exceptions import ApiException, BadRequestException


def let_pass(stack, person, time: timedelta) -> None:
    """Put a member's last change of state into the past."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "update members set status_changed_at = status_changed_at - %s where identity_id = %s",
            (time, UUID(person.identity_id)),
        )


def status_of(stack, person) -> str:
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "select status from members where identity_id = %s", (UUID(person.identity_id),)
        ).fetchone()
    return row[0]


def test_an_expired_code_is_refused_and_a_new_one_works(stack, person):
    person.register()
    code = person.code()
    with psycopg.connect(stack.kratos_database_url) as connection:
        connection.execute(
            "update identity_verification_codes set expires_at = now() - interval '1 second'"
            " where identity_verifiable_address_id in"
            " (select id from identity_verifiable_addresses where value = %s)",
            (person.email,),
        )

    with pytest.raises(ApiException) as refused:
        person.verify(code)
    assert refused.value.status == 410
    assert "self_service_flow_expired" in refused.value.body

    person.ask_for_another_code()
    assert person.verify(person.code(nth=2)).state == "passed_challenge"


def test_who_never_verifies_expires_and_comes_back_with_a_new_code(stack, person, eventually):
    person.register()
    person.code()
    let_pass(stack, person, timedelta(days=1, seconds=1))
    eventually(lambda: status_of(stack, person) == "expired")
    assert person.flow()["state"] == "failed"

    person.ask_for_another_code()
    code = person.code(nth=2)
    eventually(lambda: status_of(stack, person) == "pending_verification")

    assert person.verify(code).state == "passed_challenge"
    assert person.me(person.log_in()).json()["status"] == "active"


def test_who_stays_expired_is_deleted_and_the_names_are_free(
    stack, person, another_person, admin, eventually
):
    person.register()
    # The mail of the registration itself would be a resend to somebody who has expired.
    person.code()
    let_pass(stack, person, timedelta(days=1, seconds=1))
    eventually(lambda: status_of(stack, person) == "expired")
    let_pass(stack, person, timedelta(days=30, seconds=1))

    eventually(lambda: status_of(stack, person) == "deleted")
    path = f"/admin/identities/{person.identity_id}"
    eventually(lambda: admin.get(path).status_code == 404)

    another_person.email, another_person.username = person.email, person.username
    assert another_person.register().identity.id


def test_a_recovery_lets_in_who_never_verified(person):
    """The code came to the address: it proves as much as a verification."""
    person.register()
    person.code()
    with pytest.raises(BadRequestException):
        person.log_in()

    flow = person.ory.create_native_recovery_flow()
    there = str(flow.id)

    def enter(**fields):
        method = UpdateRecoveryFlowWithCodeMethod(method="code", **fields)
        return person.ory.update_recovery_flow(there, UpdateRecoveryFlowBody(method))

    enter(email=person.email)
    answer = enter(code=person.code(nth=2))

    [token] = [
        item.actual_instance.ory_session_token
        for item in answer.continue_with
        if item.actual_instance.action == "set_ory_session_token"
    ]
    assert person.me(token).json()["status"] == "active"
