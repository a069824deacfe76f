"""Which addresses are refused before anything else looks at them.

Kratos and Keto clean a path before routing it, so `//admin`, `/x/../admin` and `/%61dmin` reach
what a prefix check missed; and Kratos takes submits by GET, where a link alone can change a
password. One spelling of each address is let through. Source: the running servers, v1.3.1.
"""

import re
from urllib.parse import parse_qsl, unquote_to_bytes

from integration.edge.problems import Refusal

NOT_CANONICAL = Refusal(
    400, "path_not_canonical", "This address is not in the one form that is accepted."
)
SUBMIT_BY_GET = Refusal(
    400, "submit_by_get", "A form is submitted by POST, with its fields in the body."
)
AMBIGUOUS_QUERY = Refusal(400, "ambiguous_query", "A name appears twice in the address.")

MAX_TARGET_BYTES = 8192
_PLAIN = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,=:@/%]*\Z")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
# An escaped unreserved character has a plain form (RFC 3986, section 2.3); the others change
# meaning when somebody behind us decodes once more.
_NEVER_ESCAPED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\;%\x7f"
) | frozenset(range(0x20))

_START_OR_FETCH = frozenset(
    {
        "aal",
        "after_verification_return_to",
        "flow",
        "id",
        "identity_schema",
        "login_challenge",
        "organization",
        "refresh",
        "return_session_token_exchange_code",
        "return_to",
        "via",
    }
)
_SUBMIT = frozenset({"flow"})
_EXTRA = {"verification": frozenset({"code"}), "recovery": frozenset({"token"})}
_FLOW = re.compile(
    r"/self-service/(login|registration|settings|recovery|verification)(?:/([^/]+))?\Z"
)


def path_fault(raw_path: bytes) -> Refusal | None:
    """Return why a request path, as it came over the wire, is refused."""
    if len(raw_path) > MAX_TARGET_BYTES or not _PLAIN.match(raw_path):
        return NOT_CANONICAL
    if b"//" in raw_path or {b".", b".."} & set(raw_path.split(b"/")):
        return NOT_CANONICAL
    if b"%" in raw_path and not _escapes_are_needed(raw_path):
        return NOT_CANONICAL
    return None


def _escapes_are_needed(raw_path: bytes) -> bool:
    if _BROKEN_ESCAPE.search(raw_path):
        return False
    if any(int(found, 16) in _NEVER_ESCAPED for found in _ESCAPE.findall(raw_path)):
        return False
    try:
        unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def query_fault(path: str, query: str) -> Refusal | None:
    """Return why the query of a self-service path is refused.

    Holds for every method: Kratos reads form fields from the address of a POST as well.
    """
    if not path.startswith("/self-service/") or not query:
        return None
    flow = _FLOW.match(path)
    if flow is None:
        return None
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    # Go ignores a pair with a plain semicolon, others split there.
    if ";" in query or not frozenset(names) <= _accepted(flow[1], flow[2]):
        return SUBMIT_BY_GET
    if len(names) != len(set(names)):
        return AMBIGUOUS_QUERY
    return None


def _accepted(flow: str, step: str | None) -> frozenset[str]:
    if step in ("browser", "api", "flows"):
        return _START_OR_FETCH
    return _SUBMIT | _EXTRA.get(flow, frozenset())


def is_recovery_link(path: str, query: str) -> bool:
    """Tell whether opening this address would use up a recovery link."""
    return path == "/self-service/recovery" and any(
        name == "token" for name, _ in parse_qsl(query, keep_blank_values=True)
    )
