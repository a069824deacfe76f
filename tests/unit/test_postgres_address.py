"""Addresses of PostgreSQL: what libpq reads in them, asyncpg is told."""

import pytest

from integration.edge.postgres_address import AddressError, asyncpg_address


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        (
            "postgresql://kleis:secret@postgres:5432/kleis",
            {
                "dsn": "postgresql://?user=kleis&password=secret&dbname=kleis",
                "host": ["postgres"],
                "port": 5432,
            },
        ),
        (
            "postgresql://kleis:p%40%2Fw+%25@/kleis?host=/run/a%2Bb",
            {
                "dsn": "postgresql://?user=kleis&password=p%40%2Fw%2B%25&dbname=kleis",
                "host": ["/run/a+b"],
            },
        ),
        (
            "postgresql://kleis@[::1]/kleis",
            {"dsn": "postgresql://?user=kleis&dbname=kleis", "host": ["::1"]},
        ),
        (
            "postgresql://kleis@one,two:6432/kleis?target_session_attrs=read-write",
            {
                "dsn": "postgresql://?user=kleis&dbname=kleis&target_session_attrs=read-write",
                "host": ["one", "two"],
                "port": [5432, 6432],
            },
        ),
        (
            "postgresql://kleis@db/kleis?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            {
                "dsn": "postgresql://?user=kleis&dbname=kleis&sslmode=verify-full"
                "&sslrootcert=%2Fetc%2Fca.pem",
                "host": ["db"],
            },
        ),
    ],
)
def test_an_address_means_what_libpq_says_it_means(url, arguments):
    assert asyncpg_address(url) == arguments


def test_what_the_edge_decides_itself_is_left_out():
    given = "connect_timeout=9&keepalives=1&options=-c%20work_mem%3D1MB&application_name=x"

    assert asyncpg_address(f"postgresql://kleis@db/kleis?{given}") == {
        "dsn": "postgresql://?user=kleis&dbname=kleis",
        "host": ["db"],
    }


@pytest.mark.parametrize(
    "asked", ["channel_binding=require", "gssencmode=require", "hostaddr=192.0.2.1"]
)
def test_a_protection_that_cannot_be_had_is_refused_and_no_password_shown(asked):
    with pytest.raises(AddressError, match=asked.partition("=")[0]) as refused:
        asyncpg_address(f"postgresql://kleis:secret@db/kleis?{asked}")

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("said", ["channel_binding=prefer", "gssencmode=disable", "sslsni=1"])
def test_what_happens_anyway_may_be_said(said):
    assert asyncpg_address(f"postgresql://kleis@db/kleis?{said}")["host"] == ["db"]
