"""The address of PostgreSQL as asyncpg takes it: read by libpq, like everybody else's here.

asyncpg reads addresses too, but takes whatever it does not know for a setting of the server, which
then refuses every connection. What it cannot do is refused here: nobody is to believe that a
connection is protected as it says.
"""

from typing import Any
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

_DEFAULT_PORT = 5432
# Read by asyncpg as libpq does.
_KNOWN = frozenset(
    {
        "dbname",
        "host",
        "passfile",
        "password",
        "port",
        "service",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "target_session_attrs",
        "user",
    }
)
# Set by the edge itself, whatever the address says, or without meaning where each statement has a
# deadline and its connection ends with it.
_DECIDED_HERE = frozenset(
    {
        "application_name",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "options",
        "tcp_user_timeout",
    }
)
# The defaults of libpq, or what asyncpg does anyway.
_HARMLESS = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}


class AddressError(ValueError):
    """An address asks for what the edge cannot do. Says so without the address."""


def asyncpg_address(url: str) -> dict[str, Any]:
    """Return the arguments by which asyncpg connects to an address.

    Args:
        url: As libpq reads it.

    Raises:
        AddressError: it names something that asyncpg cannot do.
    """
    given: dict[str, Any] = conninfo_to_dict(url)
    unknown = [
        name
        for name, value in given.items()
        if name not in _KNOWN | _DECIDED_HERE and value not in _HARMLESS.get(name, ())
    ]
    if unknown:
        named = ", ".join(sorted(unknown))
        raise AddressError(f"the edge's connections cannot do {named}")
    known = {name: value for name, value in given.items() if name in _KNOWN and value}
    places: dict[str, Any] = {}
    if "host" in known:
        # Apart: in a query asyncpg takes the colons of an IPv6 address for a port.
        places["host"] = known.pop("host").split(",")
    if "port" in known:
        ports = [int(each or _DEFAULT_PORT) for each in known.pop("port").split(",")]
        places["port"] = ports if len(ports) > 1 else ports[0]
    return {"dsn": f"postgresql://?{urlencode(known)}", **places}
