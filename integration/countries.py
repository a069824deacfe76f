"""The country of an address, from a file on this machine; unknown where there is none.

The file is an MMDB whose records name a country: `country.iso_code` (the layout of MaxMind) or
`country_code` (that of the public-domain sets made of the registries' own data).
"""

from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import maxminddb
import structlog

log = structlog.get_logger()

UNKNOWN = ""


class Countries:
    """Looks countries up. Never raises: a country is advice."""

    def __init__(self, path: Path | None) -> None:
        """Open the file; one that cannot be read is complained of once."""
        self._reader: maxminddb.Reader | None = None
        if path is None:
            return
        try:
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MMAP)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            log.warning("country_database_unreadable", error=type(error).__name__)

    def of(self, address: str) -> str:
        """Return the ISO 3166 code of an address, two capitals; empty: unknown."""
        if self._reader is None:
            return UNKNOWN
        try:
            known = ip_address(address)
            mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
            return _code(self._reader.get(mapped or known))
        except (ValueError, maxminddb.InvalidDatabaseError):
            return UNKNOWN


def _code(record: Any) -> str:
    if not isinstance(record, dict):
        return UNKNOWN
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
    if not isinstance(code, str) or len(code) != 2 or not (code.isascii() and code.isalpha()):
        return UNKNOWN
    return code.upper()
