"""Deletes of tuples by addresses that Keto might read otherwise than they were judged."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.tuple_stage import PATH, Stage, channel_owner, listed, role_of, stage_running


@pytest.fixture(scope="module")
def stage(keto, database_url, valkey_url) -> Iterator[Stage]:
    with stage_running(keto, database_url, valkey_url) as running:
        yield running


@pytest.mark.parametrize(
    "query",
    [
        "namespace=Platform&object=",
        "namespace=Platform&object=&relation=",
        "namespace=Platform&object=&relation=admins",
        "namespace=Platform&object=&subject_id=",
    ],
)
def test_an_empty_object_is_no_way_around_the_scope_for_roles(stage, query):
    stage.keto.insert(role_of(str(uuid4()), "admins"))
    before = stage.keto.listed(namespace="Platform", object="main")

    stage.without_roles.delete(f"{PATH}?{query}")

    assert stage.keto.listed(namespace="Platform", object="main") == before


@pytest.mark.parametrize("query", ["object=", "object=&relation=", "relation=", "subject_id="])
def test_an_empty_name_matches_nothing_more_than_it_says(stage, query):
    item = channel_owner()
    stage.keto.insert(item)

    stage.edge.delete(f"{PATH}?namespace=Channel&{query}")

    assert listed(stage, item) == [item]
