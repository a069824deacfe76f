"""Circles and chains of parents, judged without a server."""

from hypothesis import given
from hypothesis import strategies as st

from policies.parent_edges import MAX_CHAIN, Edges, decide_edges

NAMES = st.sampled_from("abcdefgh")
EDGES = st.frozensets(st.tuples(NAMES, NAMES), max_size=12)


def code_of(fault):
    return None if fault is None else fault.reasons[0].code


def longest_chain(edges) -> int:
    """Return the longest way, tried step by step; more than any when there is a circle."""
    ends = {name for edge in edges for name in edge}
    for length in range(len(ends) + 1):
        ends = {above for name in ends for below, above in edges if below == name}
        if not ends:
            return length
    return len(edges) + MAX_CHAIN + 1


@given(known=EDGES, added=EDGES)
def test_what_is_allowed_never_makes_a_circle_or_a_long_chain(known, added):
    if longest_chain(known) > MAX_CHAIN:
        known = frozenset()
    after = Edges(known).changed(add=added, remove=())

    fault = decide_edges(after, added)

    assert (fault is None) is (longest_chain(after.known) <= MAX_CHAIN)


@given(start=EDGES, rest=st.lists(st.tuples(NAMES, NAMES), max_size=20))
def test_one_by_one_never_leads_where_all_at_once_may_not(start, rest):
    edges = Edges(frozenset())
    for edge in [*start, *rest]:
        after = edges.changed(add=[edge], remove=())
        if decide_edges(after, [edge]) is None:
            edges = after

    assert longest_chain(edges.known) <= MAX_CHAIN


def test_a_removed_edge_does_not_count():
    known = Edges(frozenset({("a", "b")}))

    turned = known.changed(add=[("b", "a")], remove=[("a", "b")])

    assert decide_edges(turned, [("b", "a")]) is None
    assert code_of(decide_edges(known.changed(add=[("b", "a")], remove=[]), [("b", "a")])) == (
        "circle_refused"
    )


def test_a_circle_is_told_from_a_chain():
    chain = [(str(at), str(at + 1)) for at in range(MAX_CHAIN + 1)]
    assert code_of(decide_edges(Edges(frozenset(chain)), chain)) == "chain_too_long"
    assert decide_edges(Edges(frozenset(chain[1:])), chain[1:]) is None
    ring = [*chain[:3], ("3", "0")]
    assert code_of(decide_edges(Edges(frozenset(ring)), ring)) == "circle_refused"
