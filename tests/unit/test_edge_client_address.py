"""Who is calling, and that nobody can pretend."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.client_address import decide

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def fields(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


@pytest.mark.parametrize(
    "spoofed",
    [
        {"x_forwarded_for": "4.4.4.4"},
        {"forwarded": "for=4.4.4.4"},
        {"true_client_ip": "4.4.4.4"},
        {"x_real_ip": "4.4.4.4"},
        {"cf_connecting_ip": "4.4.4.4"},
        {"x_client_ip": "4.4.4.4"},
    ],
)
def test_a_stranger_cannot_choose_its_address(spoofed):
    assert decide("9.9.9.9", fields(**spoofed), ()) == "9.9.9.9"
    assert decide("9.9.9.9", fields(**spoofed), TRUSTED) == "9.9.9.9"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        pytest.param({}, "10.0.0.1", id="no-list"),
        pytest.param({"x_forwarded_for": "4.4.4.4"}, "4.4.4.4", id="one"),
        pytest.param({"x_forwarded_for": "6.6.6.6, 4.4.4.4"}, "4.4.4.4", id="right-most-counts"),
        pytest.param({"x_forwarded_for": "4.4.4.4, 10.1.1.1"}, "4.4.4.4", id="skips-own-proxies"),
        pytest.param({"x_forwarded_for": "10.2.2.2, 10.1.1.1"}, "10.2.2.2", id="all-trusted"),
        pytest.param({"x_forwarded_for": "4.4.4.4, rubbish"}, "10.0.0.1", id="rubbish-ends-it"),
        pytest.param({"x_forwarded_for": "6.6.6.6, rubbish, 10.1.1.1"}, "10.1.1.1", id="behind"),
        pytest.param({"x_forwarded_for": "4.4.4.4:5555"}, "4.4.4.4", id="port"),
        pytest.param({"x_forwarded_for": ""}, "10.0.0.1", id="empty"),
        pytest.param({"forwarded": 'for="[2001:db8::1]:4711";proto=https'}, "2001:db8::1", id="v6"),
        pytest.param({"forwarded": "for=6.6.6.6, For=4.4.4.4;by=10.0.0.1"}, "4.4.4.4", id="rfc"),
        pytest.param({"forwarded": "proto=https;for=4.4.4.4"}, "4.4.4.4", id="any-order"),
        pytest.param({"forwarded": "for=unknown"}, "10.0.0.1", id="unknown"),
        pytest.param({"forwarded": "for=_hidden"}, "10.0.0.1", id="obfuscated"),
        pytest.param({"forwarded": "by=4.4.4.4"}, "10.0.0.1", id="no-for"),
        pytest.param({"x_forwarded_for": "::ffff:4.4.4.4"}, "4.4.4.4", id="mapped"),
        pytest.param({"true_client_ip": "4.4.4.4"}, "10.0.0.1", id="other-fields-never"),
        pytest.param(
            {"forwarded": "for=4.4.4.4", "x_forwarded_for": "4.4.4.4"}, "4.4.4.4", id="both-agree"
        ),
        pytest.param(
            {"forwarded": "for=6.6.6.6", "x_forwarded_for": "4.4.4.4"}, "10.0.0.1", id="disagree"
        ),
    ],
)
def test_reads_a_trusted_proxys_list_from_the_right(headers, address):
    assert decide("10.0.0.1", fields(**headers), TRUSTED) == address


def test_repeated_fields_are_one_list():
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"4.4.4.4, 10.1.1.1")]

    assert decide("10.0.0.1", headers, TRUSTED) == "4.4.4.4"


def test_a_peer_without_an_address_is_nobody():
    assert decide(None, fields(x_forwarded_for="4.4.4.4"), TRUSTED) == "0.0.0.0"


values = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.one_of(st.ip_addresses().map(str), st.text("0123456789abcdef.:[]\"'%;=, ", max_size=12))
    ).map(lambda hops: ", ".join(hops).encode()),
)


@given(st.lists(st.tuples(st.sampled_from([b"x-forwarded-for", b"forwarded"]), values)))
def test_always_answers_an_address(headers):
    ip_address(decide("10.0.0.1", headers, TRUSTED))


@given(st.ip_addresses(), st.lists(st.tuples(st.just(b"x-forwarded-for"), values)))
def test_without_trusted_proxies_only_the_peer_counts(peer, headers):
    assert decide(str(peer), headers, ()) == decide(str(peer), [], ())
