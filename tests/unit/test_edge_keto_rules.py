"""What Keto leaves open is closed."""

import json

import pytest

from integration.edge.asgi import Answer
from integration.edge.problems import RefusedError
from integration.edge.tuples import keto_rules

TUPLE = {"namespace": "Content", "object": "a", "relation": "view", "subject_id": "b"}


def refused(call, *values) -> str:
    with pytest.raises(RefusedError) as caught:
        call(*values)
    return caught.value.refusal.code


@pytest.mark.parametrize("query", ["", "page_size=10", "namespace=", "relation=x", "object=y"])
def test_everything_at_once_is_not_listed(query):
    assert refused(keto_rules.bounded_list_query, query) == "filter_required"


@pytest.mark.parametrize("size", ["-1", "x", "1e3", "10.5", "%D9%A1", "9999999999"])
def test_a_page_size_that_is_no_number_is_refused(size):
    code = refused(keto_rules.bounded_list_query, f"namespace=Content&page_size={size}")
    assert code == "page_size_malformed"


def test_two_page_sizes_are_refused():
    query = "namespace=Content&page_size=1&page_size=100000"
    assert refused(keto_rules.bounded_list_query, query) == "ambiguous_query"


@pytest.mark.parametrize("query", ["namespace=a;b", "namespace=%zz", "namespace=a&subject_id=%"])
def test_a_filter_that_keto_would_drop_is_refused(query):
    assert refused(keto_rules.bounded_list_query, query) == "ambiguous_query"


def test_a_large_page_is_made_smaller_and_a_small_one_kept():
    bounded = keto_rules.bounded_list_query
    assert bounded("namespace=Content&page_size=100000") == "namespace=Content&page_size=500"
    assert bounded("subject_id=x&page_size=20") == "subject_id=x&page_size=20"
    assert bounded("subject_set.namespace=Channel") == "subject_set.namespace=Channel"


def test_knows_a_page_token_that_is_not_ketos():
    assert keto_rules.has_odd_page_token("page_token=rubbish")
    assert not keto_rules.has_odd_page_token("page_token=3f2a7f2e-8a0b-4a52-8f3e-0d8f1c1e9a11")
    assert not keto_rules.has_odd_page_token("namespace=x")


@pytest.mark.parametrize(
    "body",
    [
        {"code": 404, "status": "Not Found", "message": "no relation tuple found"},
        {"error": {"code": 404, "status": "Not Found", "message": "no relation tuple found"}},
    ],
)
def test_expand_on_nothing_is_a_true_404(body):
    answer = keto_rules.true_status(Answer(200, [], json.dumps(body).encode()))

    assert answer.status == 404
    assert json.loads(answer.body)["error"]["code"] == 404


def test_a_tree_stays_a_tree():
    answer = Answer(200, [], b'{"type": "leaf", "tuple": {}}')

    assert keto_rules.true_status(answer) is answer


@pytest.mark.parametrize(
    ("status", "body", "allowed"),
    [
        (200, b'{"allowed": true}', True),
        (200, b'{"allowed": false}', False),
        (200, b'{"allowed": "true"}', False),
        (200, b'{"allowed": 1}', False),
        (200, b"{}", False),
        (200, b"true", False),
        (200, b"not json", False),
        (403, b'{"allowed": true}', False),
        (500, b'{"allowed": true}', False),
        (400, b'{"error": {"code": 400, "reason": "relation does not exist"}}', False),
    ],
)
def test_only_a_200_with_a_boolean_decides(status, body, allowed):
    verdict = keto_rules.verdict(status, body)

    assert verdict["allowed"] is allowed
    decided = status == 200 and body in (b'{"allowed": true}', b'{"allowed": false}')
    assert ("error" in verdict) is not decided
