"""Writes of tuples that nobody waits for any more: they must not come true afterwards."""

import time
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from integration.authority import grants, keto_tuples
from integration.authority.admins import THE_OPERATOR
from integration.authority.grants import Rules
from integration.db import epochs
from integration.errors import UpstreamUnavailableError
from integration.members import lifecycle
from integration.services import make_services
from policies.authority import Role
from policies.grants import Wish
from policies.registration import RegistrationAttempt, new_member
from tests.keto.server import KetoServer, keto_running
from tests.settling import settle

_BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""


@pytest.fixture
def keto_database(postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def keto(keto_database, tmp_path) -> Iterator[KetoServer]:
    with keto_running(keto_database, tmp_path) as server:
        yield server


def wait_until_idle(database: str) -> None:
    """Return when nothing that was asked of a database is still being done."""
    with psycopg.connect(database, autocommit=True) as looking:
        deadline = time.monotonic() + 60
        while looking.execute(_BUSY).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_insert_that_was_given_up_does_not_outlive_the_revocation(
    keto, keto_database, settings, services
):
    changed = settings.model_copy(
        update={"keto_read_url": keto.read_url, "keto_write_url": keto.write_url}
    )
    with_keto = make_services(changed, pool_size=4)
    somebody = uuid4()
    attempt = RegistrationAttempt(email=f"{somebody}@example.test", username=f"m{somebody}")
    with with_keto.transaction() as session:
        now = with_keto.now()
        lifecycle.adopt(session, somebody, new_member(attempt), Role.USER, now=now)
    settle(with_keto, somebody)
    with with_keto.transaction() as session:
        wish = Wish("members.suspend", None, "incident 7")
        made = grants.grant(
            session, THE_OPERATOR, somebody, wish, rules=Rules(), now=with_keto.now()
        ).id
    with psycopg.connect(keto_database) as blocking:
        blocking.execute("LOCK TABLE keto_relation_tuples IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(UpstreamUnavailableError):
            keto_tuples.settle(with_keto, somebody)
        with with_keto.transaction() as session:
            grants.revoke(session, THE_OPERATOR, made, "over", now=with_keto.now())
        settle(with_keto, somebody)
        with with_keto.transaction() as session:
            assert not epochs.is_settling(session, somebody)
    wait_until_idle(keto_database)
    assert keto.listed(namespace="Permission", relation="granted", subject_id=str(somebody)) == []
    with_keto.close()
