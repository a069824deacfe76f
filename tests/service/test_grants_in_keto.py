"""What a real Keto says, against what our tables say: roles, wildcards, grants, and races."""

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import AnyHttpUrl

from integration.authority import catalogue, grants, permissions
from integration.authority.admins import THE_OPERATOR
from integration.authority.grants import Rules
from integration.db import epochs
from integration.db import grants as rows
from integration.errors import ConflictError
from integration.members import lifecycle
from integration.services import Services, make_services
from policies.authority import Role
from policies.grants import Wish
from policies.lifecycle import Actor, Trigger
from policies.permissions import Permission, allows
from policies.registration import RegistrationAttempt, new_member
from tests.keto.server import KetoServer, keto_running
from tests.settling import settle

NAMES = ("content.moderate", "comments.moderate", "reports.review", "reports.*")
RULES = Rules()


@pytest.fixture(scope="module")
def own_keto(postgres, tmp_path_factory) -> Iterator[KetoServer]:
    """A Keto without anybody else's permissions."""
    with keto_running(postgres.new_database(), tmp_path_factory.mktemp("own_keto")) as server:
        yield server


@pytest.fixture
def told(services, settings, own_keto, clock) -> Iterator[Services]:
    """Services whose Keto is real and knows the catalogue."""
    urls = {
        "keto_read_url": AnyHttpUrl(own_keto.read_url),
        "keto_write_url": AnyHttpUrl(own_keto.write_url),
    }
    made = replace(
        make_services(settings.model_copy(update=urls), pool_size=8), now=clock, ring=lambda _: None
    )
    catalogue.sync(made)
    yield made
    made.close()


def join(services, role=Role.USER) -> UUID:
    identity_id = uuid4()
    name = f"m{identity_id.hex[:12]}"
    attempt = RegistrationAttempt(email=f"{name}@example.test", username=name)
    with services.transaction() as session:
        lifecycle.adopt(session, identity_id, new_member(attempt), role, now=services.now())
    settle(services, identity_id)
    return identity_id


def question(name, member):
    return {
        "namespace": "Permission",
        "object": name,
        "relation": "use",
        "subject_id": str(member),
    }


def give(services, member, name, expires_at=None):
    with services.transaction() as session:
        wish = Wish(name, expires_at, "a test")
        return grants.grant(session, THE_OPERATOR, member, wish, rules=RULES, now=services.now()).id


def names_of(services, member):
    with services.transaction() as session:
        return permissions.names_of(session, member, services.now())


def all_names(services):
    with services.transaction() as session:
        return sorted(permissions.catalogue(session))


def grants_in(keto, member):
    found = keto.listed(namespace="Permission", relation="granted", subject_id=str(member))
    return sorted(item["object"] for item in found)


@pytest.mark.parametrize("role", list(Role))
def test_keto_and_our_tables_agree_on_every_permission_of_every_role(told, own_keto, role):
    member = join(told, role)
    names = all_names(told)
    held = names_of(told, member)

    answers = own_keto.all_allowed([question(name, member) for name in names])

    assert dict(zip(names, answers, strict=True)) == {name: allows(held, name) for name in names}


def test_keto_and_our_tables_agree_on_the_applications_permissions_at_every_depth(told, own_keto):
    added = [
        Permission("app.one.two.three", "", Role.CREATOR),
        Permission("app.one.four"),
        Permission("other"),
    ]
    with told.transaction() as session:
        for item in added:
            catalogue.add(session, THE_OPERATOR, item, now=told.now())
    catalogue.sync(told)
    people = {role: join(told, role) for role in Role}
    give(told, people[Role.USER], "app.*")
    settle(told, people[Role.USER])
    names = [name for name in all_names(told) if name.startswith(("app", "other"))]
    for member in people.values():
        held = names_of(told, member)
        answers = own_keto.all_allowed([question(name, member) for name in names])
        expected = {name: allows(held, name) for name in names}
        assert dict(zip(names, answers, strict=True)) == expected


def test_keto_forgets_a_removed_permission_and_nothing_else(told, own_keto):
    names = ("gone.one", "gone.two", "stays.one")
    with told.transaction() as session:
        for name in names:
            catalogue.add(session, THE_OPERATOR, Permission(name, "", Role.CREATOR), now=told.now())
    catalogue.sync(told)
    creator = join(told, Role.CREATOR)
    # What a service wrote itself stays, and opens nothing any more.
    other = join(told)
    own_keto.insert(
        {
            "namespace": "Permission",
            "object": "gone.one",
            "relation": "granted",
            "subject_id": str(other),
        }
    )
    asked = [question(name, creator) for name in names] + [question("gone.one", other)]
    assert own_keto.all_allowed(asked) == [True] * 4

    with told.transaction() as session:
        catalogue.remove(session, THE_OPERATOR, "gone.one", reason="", now=told.now())
        catalogue.remove(session, THE_OPERATOR, "gone.two", reason="", now=told.now())
    removed = catalogue.sync(told)

    assert {item.permission for item in removed} == {"gone.one", "gone.two", "gone.*"}
    assert own_keto.all_allowed(asked) == [False, False, True, False]
    assert catalogue.sync(told) == frozenset()
    with told.transaction() as session:
        catalogue.add(session, THE_OPERATOR, Permission("gone.two", "", Role.USER), now=told.now())
    catalogue.sync(told)
    assert own_keto.all_allowed(asked[:3]) == [False, True, True]
    assert catalogue.lacking(told) == frozenset()


def test_seeding_twice_writes_nothing_twice(told, own_keto):
    assert catalogue.sync(told) == frozenset()
    found = own_keto.listed(namespace="Permission")
    plain = [str(sorted(item.items(), key=str)) for item in found]
    assert len(plain) == len(set(plain))


def test_an_end_is_exact_at_the_next_question(told, own_keto, clock):
    member = join(told)
    grant_id = give(told, member, "content.moderate", clock.now + timedelta(hours=1))
    settle(told, member)
    assert own_keto.allowed(question("content.moderate", member))
    clock.advance(timedelta(hours=1))
    assert own_keto.allowed(question("content.moderate", member))

    settle(told, member)

    assert not own_keto.allowed(question("content.moderate", member))
    with told.transaction() as session:
        ended = rows.get(session, grant_id)
        assert (ended.expired_at, ended.removed_at) == (clock.now, clock.now)
        assert not epochs.is_settling(session, member)


def test_a_suspension_closes_what_was_granted_and_its_end_opens_it(told, own_keto):
    member = join(told)
    give(told, member, "content.moderate")
    for trigger, expected in ((Trigger.ADMIN_DISABLE, False), (Trigger.ADMIN_ENABLE, True)):
        with told.transaction() as session:
            lifecycle.transition(session, member, trigger, actor=Actor.ADMIN, now=told.now())
        settle(told, member)
        assert own_keto.allowed(question("content.moderate", member)) is expected
    with told.transaction() as session:
        lifecycle.transition(
            session, member, Trigger.SEVERE_VIOLATION, actor=Actor.ADMIN, now=told.now()
        )
    settle(told, member)
    assert grants_in(own_keto, member) == []


def test_what_somebody_else_wrote_stays_through_all_of_it(told, own_keto):
    member = join(told)
    strange = {**question("content.publish", member), "relation": "granted"}
    own_keto.insert(strange)
    made = give(told, member, "content.moderate")
    settle(told, member)
    assert grants_in(own_keto, member) == ["content.moderate", "content.publish"]
    with told.transaction() as session:
        grants.revoke(session, THE_OPERATOR, made, "", now=told.now())
    settle(told, member)
    assert grants_in(own_keto, member) == ["content.publish"]


@pytest.mark.parametrize("seed", range(3))
def test_however_changes_and_deliveries_meet_keto_ends_with_what_our_tables_say(
    told, own_keto, seed
):
    """Three admins and two deliveries at once; afterwards each tuple is there once, or not."""
    member = join(told)

    def change(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        for _ in range(12):
            # Somebody else may be faster: then there is nothing to change any more.
            with contextlib.suppress(ConflictError):
                _change_once(told, member, chance)

    def deliver() -> None:
        for _ in range(12):
            settle(told, member)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    settle(told, member)

    now = told.now()
    with told.transaction() as session:
        every = rows.page(session, now=now, subject_id=member, limit=1000)
    live = {item for item in every if grants.state_of(item, now) == "active"}
    assert {item for item in every if item.removed_at is None} == live
    assert grants_in(own_keto, member) == sorted(item.permission for item in live)


def _change_once(services: Services, member: UUID, chance: random.Random) -> None:
    now = services.now()
    name = chance.choice(NAMES)
    with services.transaction() as session:
        known = [item for item in rows.unended(session, member) if item.permission == name]
    if not known:
        give(services, member, name, chance.choice((None, now + timedelta(hours=1))))
        return
    with services.transaction() as session:
        if chance.random() < 0.5:
            grants.revoke(session, THE_OPERATOR, known[0].id, "", now=now)
        else:
            grants.renew(session, THE_OPERATOR, known[0].id, expires_at=None, rules=RULES, now=now)
