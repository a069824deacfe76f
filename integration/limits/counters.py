"""Names of counters in Valkey: short, for there may be millions.

A name is `kl:`, the rule's letter, and what is counted in as few bytes as say it: 4 or 16 of an
address, 3 or 8 of a network, 8 of an account.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from uuid import UUID

from integration.keys import derive
from integration.limits import rules
from policies.limits import MARK_BYTES, canonical_identifier

PREFIX = b"kl:"
PASS = b"k"
ALARM = b"g"
ACCOUNT_BYTES = 8
LETTER = len(PREFIX)


@dataclass(frozen=True, slots=True)
class Counters:
    """Names counters with the keys of this installation."""

    account_key: bytes
    mark_key: bytes

    @classmethod
    def of(cls, secret: str) -> "Counters":
        return cls(derive(secret, "limits account"), derive(secret, "limits password"))

    def account(self, identity_id: UUID | None, identifier: str) -> bytes | None:
        """Return 8 bytes that stand for an account; None: nobody is named.

        Args:
            identity_id: The member's, when there is one; else the identifier's own spelling-free
                form is counted, so that nobody can tell the two apart.
        """
        if identity_id is not None:
            return self._hash(b"i" + identity_id.bytes)
        name = canonical_identifier(identifier)
        return self._hash(b"n" + name.encode("utf-8", "surrogatepass")) if name else None

    def mark(self, account: bytes, password: str) -> bytes:
        """Return 6 bytes that stand for one password typed for one account."""
        said = account + password.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, digest_size=MARK_BYTES, key=self.mark_key).digest()

    def _hash(self, said: bytes) -> bytes:
        return hashlib.blake2b(said, digest_size=ACCOUNT_BYTES, key=self.account_key).digest()


@lru_cache(1024)
def parse(address: str) -> IPv4Address | IPv6Address:
    """Read an address; one of IPv4 written as IPv6 is that of IPv4.

    Raises:
        ValueError: it is none.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def of_address(letter: bytes, address: str) -> bytes:
    return PREFIX + letter + parse(address).packed


def of_network(address: str) -> bytes:
    found = parse(address)
    if isinstance(found, IPv4Address):
        return PREFIX + rules.NETWORK_V4 + found.packed[:3]
    return PREFIX + rules.NETWORK_V6 + found.packed[:8]


def of_account(letter: bytes, account: bytes) -> bytes:
    # A letter more than an address has: both count mails.
    return PREFIX + letter + b"@" + account


def of_pair(address: str, account: bytes) -> bytes:
    return PREFIX + rules.PAIR + account + parse(address).packed


def of_device(device: bytes, account: bytes) -> bytes:
    return PREFIX + rules.DEVICE + account + device


def of_pass(address: str, account: bytes) -> bytes:
    """Name the proof that this address got back into this account a moment ago."""
    return PREFIX + PASS + account + parse(address).packed


def letter_of(key: bytes) -> bytes:
    return key[LETTER : LETTER + 1]


def is_of_account(key: bytes, account: bytes) -> bool:
    """Tell whether a counter is about this account, alone or with an address or a device."""
    said = key[LETTER + 1 :]
    return said in (b"@" + account, account) or (
        letter_of(key) in (rules.PAIR, rules.DEVICE, PASS) and said.startswith(account)
    )


def is_of_address(key: bytes, address: str) -> bool:
    """Tell whether a counter is about this address, alone, with an account, or its network."""
    if key == of_network(address):
        return True
    packed, letter, said = parse(address).packed, letter_of(key), key[LETTER + 1 :]
    if letter in (rules.PAIR, PASS):
        return said[ACCOUNT_BYTES:] == packed
    return letter in _OF_ADDRESS and said == packed


_OF_ADDRESS = frozenset(
    {
        rules.ADDRESS,
        rules.CODE,
        rules.MAIL,
        rules.REGISTRATION,
        rules.HASHING,
        *rules.LOOPBACK.values(),
    }
)


def unlocked_with(account: bytes, address: str) -> tuple[bytes, ...]:
    """Name what is emptied for whoever got back into an account from this address."""
    return (
        of_account(rules.ACCOUNT, account),
        of_account(rules.SECOND_FACTOR, account),
        of_pair(address, account),
        of_device(parse(address).packed, account),
    )
