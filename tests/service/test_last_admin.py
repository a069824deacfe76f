"""There is always an active admin, whatever two of them do at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from integration.authority.admins import THE_OPERATOR
from integration.db import members, role_holders
from integration.errors import ConflictError, KleisError
from integration.members import lifecycle, roles
from integration.services import Services
from policies.authority import Role
from policies.lifecycle import Actor, Status, Trigger
from tests.token_stage import new_member

LEAVING = [
    (Trigger.USER_REQUEST, Actor.MEMBER),
    (Trigger.POLICY_VIOLATION, Actor.MODERATOR),
    (Trigger.POLICY_VIOLATION, Actor.SYSTEM),
    (Trigger.SEVERE_VIOLATION, Actor.ADMIN),
    (Trigger.ADMIN_DISABLE, Actor.ADMIN),
    (Trigger.ADMIN_DELETION, Actor.ADMIN),
]


def leave(services: Services, who: UUID, trigger: Trigger, actor: Actor, **how: bool) -> Status:
    with services.transaction() as session:
        return lifecycle.transition(session, who, trigger, actor=actor, now=services.now(), **how)


def demote(services: Services, who: UUID) -> None:
    with services.transaction() as session:
        roles.assign(session, THE_OPERATOR, who, Role.USER, "coup", now=services.now())


def admins_left(services: Services) -> int:
    with services.transaction() as session:
        found = role_holders.of_role(session, Role.ADMIN)
        return sum(member.status == Status.ACTIVE for member in found)


@pytest.mark.parametrize(("trigger", "actor"), LEAVING)
def test_the_last_admin_stays_active(services, trigger, actor):
    admin = new_member(services, Role.ADMIN)

    with pytest.raises(ConflictError) as refused:
        leave(services, admin, trigger, actor)

    assert refused.value.problem == "last_admin"
    assert admins_left(services) == 1


@pytest.mark.parametrize(("trigger", "actor"), LEAVING)
def test_an_admin_may_leave_while_there_is_another(services, trigger, actor):
    first, _ = new_member(services, Role.ADMIN), new_member(services, Role.ADMIN)

    assert leave(services, first, trigger, actor) is not Status.ACTIVE


def test_an_admin_who_is_not_active_keeps_nobody_from_being_the_last(services):
    first, second = new_member(services, Role.ADMIN), new_member(services, Role.ADMIN)
    leave(services, first, Trigger.ADMIN_DISABLE, Actor.ADMIN)

    with pytest.raises(ConflictError):
        leave(services, second, Trigger.USER_REQUEST, Actor.MEMBER)
    # Who is out already may go further.
    assert leave(services, first, Trigger.ADMIN_DELETION, Actor.ADMIN) is Status.DELETED


def test_what_kratos_did_already_is_not_refused(services):
    admin = new_member(services, Role.ADMIN)

    status = leave(services, admin, Trigger.ADMIN_DISABLE, Actor.SYSTEM, is_done=True)

    assert status is Status.SUSPENDED


def test_everybody_else_leaves_without_an_admin(services):
    member = new_member(services)

    assert leave(services, member, Trigger.USER_REQUEST, Actor.MEMBER) is Status.DEACTIVATED


def outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except KleisError as error:
        return error.problem
    return "done"


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize("other", ["leaves", "is demoted"])
def test_of_two_admins_who_leave_at_the_same_time_one_stays(services, other, attempt):
    first, second = new_member(services, Role.ADMIN), new_member(services, Role.ADMIN)
    acts = [
        lambda: leave(services, first, Trigger.USER_REQUEST, Actor.MEMBER),
        lambda: leave(services, second, Trigger.ADMIN_DISABLE, Actor.ADMIN),
    ]
    if other == "is demoted":
        acts[1] = lambda: demote(services, second)

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(outcome, acts))

    assert outcomes == ["done", "last_admin"]
    assert admins_left(services) == 1


def test_somebody_made_an_admin_while_being_shut_out_is_none_afterwards(services):
    """The only other admin steps down for a successor who is just being suspended."""
    first, successor = new_member(services, Role.ADMIN), new_member(services)

    def hand_over() -> None:
        with services.transaction() as session:
            now = services.now()
            roles.assign(session, THE_OPERATOR, successor, Role.ADMIN, "heir", now=now)
            roles.assign(session, THE_OPERATOR, first, Role.USER, "tired", now=now)

    for _ in range(5):
        acts = [hand_over, lambda: leave(services, successor, Trigger.ADMIN_DISABLE, Actor.ADMIN)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(outcome, acts))
        assert admins_left(services) == 1
        with services.transaction() as session:
            heir = members.lock(session, successor)
            heir.status, heir.role = Status.ACTIVE, Role.USER
            members.lock(session, first).role = Role.ADMIN
