"""For whom the service asks the edge: a client's address, signed, good for half a minute.

The service drives flows of Kratos through the edge like everybody else, so that the same guards
count them. They count by the address of the client, which only the service knows then.
"""

import hashlib
import hmac

from integration.keys import derive

HEADER = "x-kleis-on-behalf"
LIFETIME_SECONDS = 30
_LONGEST = 200


def issue(secret: str, address: str, now: float) -> str:
    """Return the header's value.

    Args:
        secret: `KLEIS_SECRET`, which edge and service share.
        address: The client's, as the edge told the service.
        now: Seconds since 1970.
    """
    said = f"{address};{int(now)}"
    return f"{said};{_sign(secret, said)}"


def read(secret: str, value: str, now: float) -> str | None:
    """Return the client's address; None: not said by us, or too long ago."""
    said, _, signature = value[:_LONGEST].rpartition(";")
    if not hmac.compare_digest(signature.encode(), _sign(secret, said).encode()):
        return None
    address, _, moment = said.rpartition(";")
    return address if abs(now - int(moment)) <= LIFETIME_SECONDS else None


def _sign(secret: str, said: str) -> str:
    key = derive(secret, "on behalf")
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
