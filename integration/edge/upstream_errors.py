"""Kratos' and Keto's internal errors, kept from clients.

A failed hook shows its private URL in the message, with status 400 for native clients, 500 for
others and 200 on the error page's fetch: bodies are judged, not statuses. What Kratos means
for its clients (`session_aal2_required`, an expired flow, a disabled account, ...) is below 500
and names no host: it passes unchanged. Source: recorded answers of v1.3.1 in `tests/`.
"""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from integration.edge.problems import UPSTREAM_BROKEN, UPSTREAM_TEMPORARY, Refusal

_LEAK = re.compile(
    r"giving up after|dial tcp|webhook|web hook|connection refused|context deadline exceeded"
    r"|SQLSTATE|unable to connect|no such host|i/o timeout",
    re.IGNORECASE,
)
_TEMPORARY = re.compile(
    r"giving up after|dial tcp|connection refused|deadline exceeded|i/o timeout|SQLSTATE",
    re.IGNORECASE,
)


class UpstreamErrors:
    """Judges answers, knowing the addresses that must never be seen outside."""

    def __init__(self, private_urls: Iterable[str]) -> None:
        self._hosts = tuple(urlsplit(url).netloc for url in private_urls)

    def refusal_instead_of(self, status: int, body: bytes) -> Refusal | None:
        """Return what a client gets instead of an error answer, or None to pass it on.

        Args:
            status: Of the upstream's answer; anything from 400.
            body: The whole body; other things than JSON count as unfit from 500 on.
        """
        error = error_of(body)
        if status >= 500 or _code(error) >= 500:
            return self._kind(error)
        if error is not None and self._leaks(error):
            return self._kind(error)
        return None

    def points_inside(self, location: str) -> bool:
        """Tell whether a redirect names a private address."""
        return urlsplit(location).netloc in self._hosts

    def scrub_error_page(self, body: bytes) -> bytes:
        """Return Kratos' answer to the error page's fetch, without internals."""
        error = error_of(body)
        if error is None:
            return body
        if _code(error) < 500 and not self._leaks(error):
            return body
        refusal = self._kind(error)
        document: dict[str, Any] = json.loads(body)
        document["error"] = {
            "id": refusal.code,
            "code": refusal.status,
            "status": "Error",
            "message": refusal.sentence,
            "reason": refusal.sentence,
        }
        return json.dumps(document).encode()

    def _kind(self, error: dict[str, Any] | None) -> Refusal:
        temporary = error is not None and _TEMPORARY.search(json.dumps(error))
        return UPSTREAM_TEMPORARY if temporary else UPSTREAM_BROKEN

    def _leaks(self, error: dict[str, Any]) -> bool:
        text = " ".join(
            json.dumps(error.get(name, ""), ensure_ascii=False)
            for name in ("message", "reason", "debug")
        )
        return bool(_LEAK.search(text)) or any(host in text for host in self._hosts)


def error_of(body: bytes) -> dict[str, Any] | None:
    """Return the `error` object of an Ory answer that is not a flow, or None."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "ui" in document:
        return None
    error = document.get("error")
    return error if isinstance(error, dict) else None


def _code(error: dict[str, Any] | None) -> int:
    code = (error or {}).get("code")
    return code if isinstance(code, int) else 0
