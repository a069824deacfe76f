"""For whom the service asks the edge: a client's address, signed, good for half a minute.

The service drives flows of Kratos through the edge like everybody else, so that the same guards
count them. They count by the address of the client, which only the service knows then. The edge
believes it for a signature with a key of `KLEIS_SECRET`, made for this path; anybody else's is
ignored, and none is passed on.
"""

import hashlib
import hmac
import re
from ipaddress import ip_address

from integration.keys import derive

HEADER = "x-kleis-on-behalf-of"
SECONDS = 30

_PURPOSE = "on behalf of a client"
_VALUE = re.compile(r"([0-9a-fA-F.:]{2,45});([0-9]{1,12});([0-9a-f]{64})\Z")


def issue(secret: str, address: str, path: str, *, now: float) -> str:
    """Return the header's value.

    Args:
        address: Of the client, as the edge told it.
        now: Seconds since 1970.
    """
    return f"{address};{int(now)};{_signature(secret, address, path, int(now))}"


def read(secret: str, value: str, path: str, *, now: float) -> str | None:
    """Return the client's address, or None: nobody of ours said so, or not just now."""
    found = _VALUE.match(value)
    if found is None:
        return None
    address, moment, signature = found.groups()
    expected = _signature(secret, address, path, int(moment))
    if not hmac.compare_digest(signature, expected) or abs(now - int(moment)) > SECONDS:
        return None
    try:
        return str(ip_address(address))
    except ValueError:
        return None


def _signature(secret: str, address: str, path: str, moment: int) -> str:
    about = f"{address}\n{path}\n{moment}".encode()
    return hmac.new(derive(secret, _PURPOSE), about, hashlib.sha256).hexdigest()
