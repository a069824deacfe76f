"""Who is calling: the address limits and audit rows are about.

Only a peer in a trusted network may speak for somebody else. Its list is read from the right:
each entry was added by the one to its right, so the first that is not trusted is the client.
Source: RFC 7239 (`Forwarded`); de-facto `X-Forwarded-For`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from integration.edge.asgi import RawHeaders

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

UNKNOWN = "0.0.0.0"  # noqa: S104 - a peer without an address (a Unix socket), nothing listens
_MAX_HOPS = 32
_FOR = re.compile(r"""(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,\s]*)""", re.IGNORECASE)


def decide(peer: str | None, headers: RawHeaders, trusted: Sequence[Network]) -> str:
    """Return the client's address in its plain form.

    When a trusted peer sends both header fields and they disagree, the peer did not write one
    of them and nobody can tell which: the peer's own address is used.
    """
    address, text = _of_peer(peer or "")
    if address is None:
        return UNKNOWN
    if not _is_trusted(address, trusted):
        return text
    claims = {
        str(_walk(address, hops, trusted))
        for hops in (_forwarded(headers), _forwarded_for(headers))
        if hops is not None
    }
    return claims.pop() if len(claims) == 1 else text


# Of connections alone: what stands in a header field may be long, and different every time.
@lru_cache(4096)
def _of_peer(peer: str) -> tuple[Address | None, str]:
    address = _parse(peer)
    return address, str(address)


def _walk(peer: Address, hops: list[str], trusted: Sequence[Network]) -> Address:
    known = peer
    for hop in hops[: -_MAX_HOPS - 1 : -1]:
        address = _parse(hop)
        if address is None:
            return known
        known = address
        if not _is_trusted(address, trusted):
            return known
    return known


def _forwarded_for(headers: RawHeaders) -> list[str] | None:
    return _joined(headers, b"x-forwarded-for")


def _forwarded(headers: RawHeaders) -> list[str] | None:
    elements = _joined(headers, b"forwarded")
    if elements is None:
        return None
    found = [_FOR.search(element) for element in elements]
    return [match[1] if match else "" for match in found]


def _joined(headers: RawHeaders, name: bytes) -> list[str] | None:
    values = [value.decode("latin-1") for key, value in headers if key == name]
    return ",".join(values).split(",") if values else None


def _parse(text: str) -> Address | None:
    """Read an address, with or without a port, as either header field writes it."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
