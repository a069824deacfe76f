"""Placeholders of the edge's statements, as PostgreSQL numbers them."""

import pytest

from integration.edge.placeholders import numbered


def test_values_by_number_keep_their_order():
    assert numbered("SELECT %s::uuid, %s WHERE a = %s", ("x", 1, None)) == (
        "SELECT $1::uuid, $2 WHERE a = $3",
        ("x", 1, None),
    )


def test_a_name_has_one_number_however_often_it_stands_there():
    statement = "SELECT %(b)s::int, %(a)s, %(b)s WHERE c LIKE 'x%'"

    assert numbered(statement, {"a": 1, "b": 2, "unused": 3}) == (
        "SELECT $1::int, $2, $1 WHERE c LIKE 'x%'",
        [2, 1],
    )


def test_a_name_without_a_value_is_a_mistake():
    with pytest.raises(KeyError):
        numbered("SELECT %(a)s", {"b": 1})
