"""What a 429 says in header fields, for the edge and the API.

`RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers; `Retry-After` as in
RFC 9110, section 10.2.3.
"""

from collections.abc import Iterable


def fields_of(name: str, quotas: Iterable[tuple[int, int]], wait: int) -> dict[str, str]:
    """Return the fields for whoever has nothing left of a limit.

    Args:
        quotas: How many, in how many seconds.
        wait: Whole seconds, rounded up.
    """
    return {
        "Retry-After": str(wait),
        "RateLimit-Policy": ", ".join(f'"{name}";q={most};w={window}' for most, window in quotas),
        "RateLimit": f'"{name}";r=0;t={wait}',
    }
