"""There is always an active admin, whatever two of them do at the same time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from integration.authority.admins import THE_OPERATOR
from integration.db import members, role_holders
from integration.edge.identity_lock import IdentityLocks
from integration.edge.problems import RefusedError
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


def promote(services: Services, who: UUID) -> None:
    with services.transaction() as session:
        roles.assign(session, THE_OPERATOR, who, Role.ADMIN, "heir", now=services.now())


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


def waits_for_lock(services: Services) -> bool:
    with services.transaction() as session:
        query = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
        return bool(session.scalar(text(query)))


@pytest.mark.parametrize("is_admin", [True, False])
def test_nobody_becomes_or_stops_being_admin_while_the_edge_shuts_somebody_out(services, is_admin):
    """Kratos is told first: until our tables follow, its member would count as an active admin."""
    admin, leaving = new_member(services, Role.ADMIN), new_member(services)

    async def shut_out() -> None:
        locks = IdentityLocks(services.settings)
        await locks.start()
        try:
            async with locks.held_for_leaving(leaving, is_admin=is_admin):
                promotion = asyncio.create_task(asyncio.to_thread(promote, services, leaving))
                while not await asyncio.to_thread(waits_for_lock, services):
                    assert not promotion.done()
            await promotion
        finally:
            await locks.close()

    asyncio.run(shut_out())

    with services.transaction() as session:
        assert members.get(session, leaving).role == Role.ADMIN
    assert admins_left(services) == 2
    demote(services, admin)


def test_the_edge_shuts_two_members_out_at_the_same_time_and_two_admins_after_another(services):
    first, second = new_member(services), new_member(services)

    async def together(*, is_admin: bool, patience: timedelta) -> bool:
        """Whether a second identity can be held while the first one is."""
        settings = services.settings.model_copy(update={"database_timeout": patience})
        locks = IdentityLocks(settings)
        await locks.start()
        try:
            async with (
                locks.held_for_leaving(first, is_admin=is_admin),
                locks.held_for_leaving(second, is_admin=is_admin),
            ):
                return True
        except RefusedError:
            return False
        finally:
            await locks.close()

    assert asyncio.run(together(is_admin=False, patience=timedelta(seconds=30)))
    assert not asyncio.run(together(is_admin=True, patience=timedelta(milliseconds=300)))
