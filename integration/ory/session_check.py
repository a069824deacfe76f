"""Kratos' `whoami`, which is asked with every call of a member that comes with its session.

By urllib3: one call costs a third of what it costs with httpx, and this one is most of what such a
call of ours costs. Cookies are never kept between calls.
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import urllib3

from integration.errors import UpstreamUnavailableError
from integration.ory.kratos_models import KratosSession

# As many as threads may ask at once.
_CONNECTIONS = 40


class SessionCheck:
    """Asks. Connects at the first question."""

    def __init__(self, kratos_url: str, *, timeout: timedelta, connect_timeout: timedelta) -> None:
        self._path = urlsplit(kratos_url).path.rstrip("/") + "/sessions/whoami"
        self._pool = urllib3.connection_from_url(
            kratos_url,
            maxsize=_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(
                connect=connect_timeout.total_seconds(), read=timeout.total_seconds()
            ),
        )

    def close(self) -> None:
        self._pool.close()

    def whoami(self, headers: Mapping[str, str]) -> KratosSession | None:
        """Return the session that a caller's credentials belong to.

        Args:
            headers: Of the caller's `Cookie`, `X-Session-Token`, `Authorization`: those it sent.

        Returns:
            None when there is no valid session.

        Raises:
            UpstreamUnavailableError: no answer in time, a 429, or a 5xx.
        """
        try:
            answer = self._pool.request("GET", self._path, headers=dict(headers))
        except urllib3.exceptions.HTTPError as error:
            raise UpstreamUnavailableError(
                "An identity service did not answer.", detail=f"whoami: {type(error).__name__}"
            ) from error
        if answer.status == 200:
            return KratosSession.model_validate_json(answer.data)
        if answer.status == 429 or answer.status >= 500:
            raise UpstreamUnavailableError(
                "An identity service is overloaded.", detail=f"whoami: {answer.status}"
            )
        return None
