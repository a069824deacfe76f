"""httpx with bounded waits and translated errors. Cookies are never kept between calls."""

from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from integration.errors import (
    ConflictError,
    NotFoundError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from integration.ory import error_facts


def make_client(
    base_url: str, *, timeout: timedelta, connect_timeout: timedelta, connections: int = 20
) -> httpx.Client:
    """Return a client that follows no redirect, keeps no cookie and trusts no proxy variable."""
    seconds = timeout.total_seconds()
    client = httpx.Client(
        base_url=base_url,
        timeout=httpx.Timeout(seconds, connect=connect_timeout.total_seconds(), pool=seconds),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        follow_redirects=False,
        trust_env=False,
    )
    # The jar itself: of `httpx.Cookies` around it only the cookies would be taken, not the policy.
    client.cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return client


def send(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """Send one request.

    Raises:
        UpstreamUnavailableError: no answer in time, a 429, or a 5xx.
        NotFoundError: a 404.
        ConflictError: a 409.
        UpstreamRefusedError: any other 4xx, or a redirect.
    """
    # The query of a page may name whom it is about; an error of the transport what was sent.
    place = f"{method} {path.partition('?')[0]}"
    try:
        response = client.request(method, path, **options)
    except httpx.TransportError as error:
        raise UpstreamUnavailableError(
            "An identity service did not answer.", detail=f"{place}: {type(error).__name__}"
        ) from error
    if response.is_success:
        return response
    detail = f"{place}: {error_facts.said(response)}"
    if response.status_code == 429 or response.is_server_error:
        raise UpstreamUnavailableError("An identity service is overloaded.", detail=detail)
    if response.status_code == 404:
        raise NotFoundError("There is no such thing.", detail=detail)
    if response.status_code == 409:
        raise ConflictError("Somebody else has this already.", detail=detail)
    raise UpstreamRefusedError("An identity service refused.", detail=detail)
