"""The parts of a token, read strictly before anything in it is believed (RFC 7515, RFC 8725)."""

import base64
import re
from dataclasses import dataclass
from typing import Any

from kleis_client import strict_json
from kleis_client.errors import TokenInvalidError

LONGEST_TOKEN = 16 * 1024
"""Characters. Ours are below 8,000: 4 KB of permissions are their largest part."""
LONGEST_HEADER = 512
"""Characters of the first segment."""
ALGORITHMS = frozenset({"EdDSA", "ES256"})

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_KEY_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose signature has not been checked yet.

    Attributes:
        algorithm: What the header claims; the key decides what is used.
        key_id: Only good for looking into the issuer's own keys.
    """

    algorithm: str
    key_id: str
    signing_input: bytes
    payload: bytes
    signature: bytes


def split(token: str) -> SignedToken:
    """Take a compact token apart.

    Raises:
        TokenInvalidError: If it is not one, or its header is not that of an access token of ours.
    """
    if len(token) > LONGEST_TOKEN:
        raise TokenInvalidError("too_long")
    found = _SEGMENTS.fullmatch(token)
    if found is None:
        raise TokenInvalidError("not_a_token")
    head, payload, signature = found.groups()
    if len(head) > LONGEST_HEADER:
        raise TokenInvalidError("header_too_long")
    header = read_object(_bytes(head))
    _check(header)
    return SignedToken(
        algorithm=header["alg"],
        key_id=header["kid"],
        signing_input=token[: found.end(2)].encode("ascii"),
        payload=_bytes(payload),
        signature=_bytes(signature),
    )


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in a header or payload.

    Raises:
        TokenInvalidError: If there is none, or one that could be read in two ways.
    """
    try:
        value = strict_json.loads(data)
    except ValueError:
        raise TokenInvalidError("not_json") from None
    if not isinstance(value, dict):
        raise TokenInvalidError("not_an_object")
    return value


def _check(header: dict[str, Any]) -> None:
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenInvalidError("algorithm")
    # RFC 9068, section 4: an ID token or any other JWT of the issuer is no access token.
    if not isinstance(kind, str) or kind.lower() not in {"at+jwt", "application/at+jwt"}:
        raise TokenInvalidError("type")
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise TokenInvalidError("key_id")
    # RFC 7515, section 4.1.11: extensions that are not understood. We understand none.
    if "crit" in header or "b64" in header:
        raise TokenInvalidError("extension")


def _bytes(segment: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise TokenInvalidError("encoding") from None
    # One spelling each, so that a token cannot be passed off as many.
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment.encode("ascii"):
        raise TokenInvalidError("encoding")
    return data
