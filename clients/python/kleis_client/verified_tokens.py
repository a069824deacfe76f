"""Tokens that were verified before, known by their hash: a bounded cache, oldest use goes first."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from kleis_client.keys import VerificationKey
from kleis_client.member import Member


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What verifying a token gave. It counts only as long as its key does."""

    key_id: str
    key: VerificationKey
    member: Member


class VerifiedTokens:
    """Remembers up to `size` tokens by their SHA-256; holds no token itself."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, digest: bytes) -> VerifiedToken | None:
        with self._lock:
            found = self._tokens.get(digest)
            if found is not None:
                self._tokens.move_to_end(digest)
            return found

    def put(self, digest: bytes, token: VerifiedToken) -> None:
        with self._lock:
            self._tokens[digest] = token
            if len(self._tokens) > self._size:
                self._tokens.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        with self._lock:
            self._tokens.pop(digest, None)
