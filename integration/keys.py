"""Keys for cookies, tickets and keyed hashes: one for each purpose, all from `KLEIS_SECRET`."""

import hashlib
import hmac


def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose. What one key signed, no other accepts."""
    return hmac.digest(secret.encode(), f"kleis {purpose}".encode(), hashlib.sha256)
