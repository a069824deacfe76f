"""How long a body is said to be."""

import pytest

from integration.edge.bodies import RequestBody


async def nothing() -> dict:
    return {"type": "http.disconnect"}


def body_of(*headers: tuple[bytes, bytes]) -> RequestBody:
    return RequestBody(nothing, list(headers), max_bytes=10)


def test_a_length_beside_a_transfer_encoding_means_nothing():
    """Passed on, it would let one request end inside another one's body."""
    body = body_of((b"content-length", b"70000"), (b"transfer-encoding", b"chunked"))

    assert body.declared_bytes is None
    assert body.is_expected
    body.refuse_if_declared_too_large()


@pytest.mark.parametrize(
    ("length", "declared"), [(b"7", 7), (b"0", 0), (b"-7", None), (b"7, 7", None)]
)
def test_a_length_alone_counts(length, declared):
    assert body_of((b"content-length", length)).declared_bytes == declared
