"""Keys for cookies, tickets and keyed hashes: one for each purpose, all from `KLEIS_SECRET`."""

import hashlib
import hmac
from functools import lru_cache


# The purposes are few, the secret is one: asked for with each request, worked out once.
@lru_cache(maxsize=64)
def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose. What one key signed, no other accepts."""
    return hmac.digest(secret.encode(), f"kleis {purpose}".encode(), hashlib.sha256)
