"""What is said of a password: cheap rules first, then its strength, then whether it is known.

Nothing slow is done for a password that a cheap rule refuses.
"""

import functools
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from integration.edge.passwords.digests import SALT_BYTES, PasswordDigests
from policies import passwords
from policies.decisions import Decision, Deny, Reason
from policies.passwords import PasswordHistory, PasswordOwner, PasswordProfile

# Longer ones are refused elsewhere, and none of them fits into a password.
_LONGEST_TRAIT = 320


@functools.cache
def common_passwords() -> frozenset[str]:
    """Return 30,000 passwords that many people use, in lower case.

    Source: the package zxcvbn (MIT), the most frequent of several leaked collections.
    """
    return frozenset(FREQUENCY_LISTS["passwords"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out.

    Attributes:
        reasons: Why the password is refused; empty: it is accepted.
        salt: Of the member's history; None where the password was refused.
        digest: Of this password under that salt.
    """

    reasons: tuple[Reason, ...]
    salt: bytes | None = None
    digest: bytes | None = None


class PasswordJudge:
    """Judges by one profile."""

    def __init__(self, profile: PasswordProfile, secret: str) -> None:
        self._profile = profile
        self.digests = PasswordDigests(secret)
        self._common = common_passwords()

    def objections(self, password: str, owner: PasswordOwner) -> tuple[Reason, ...]:
        """Return what the rules say that need microseconds."""
        return _reasons(passwords.decide_password(password, self._profile, owner, self._common))

    async def judge(
        self,
        password: str,
        owner: PasswordOwner,
        look_up: Callable[[], Awaitable[PasswordHistory | None]],
    ) -> Verdict:
        """Return what all rules say.

        Args:
            look_up: Finds the passwords the member had; None: there is no member yet.

        Raises:
            RefusedError: it cannot be judged now.
        """
        reasons = self.objections(password, owner) or await self._weakness(password, owner)
        if reasons:
            return Verdict(reasons)
        history = await look_up() or PasswordHistory(secrets.token_bytes(SALT_BYTES))
        digest = await self.digests.digest(password, history.salt)
        # All are compared, so that time tells nothing.
        known = sum(hmac.compare_digest(digest, other) for other in history.digests)
        reasons = _reasons(passwords.decide_reuse(is_known=known > 0))
        return Verdict(reasons) if reasons else Verdict((), history.salt, digest)

    async def _weakness(self, password: str, owner: PasswordOwner) -> tuple[Reason, ...]:
        if not passwords.is_asked_for_strength(self._profile):
            return ()
        score = await self.digests.off_the_loop(lambda: _score(password, owner.forbidden()))
        return _reasons(passwords.decide_strength(score))


def owner_of(traits: Mapping[str, Any], *, has_second_factor: bool) -> PasswordOwner:
    """Return whose password it is, by the traits of an identity; what is no text is ignored."""

    def text(name: str) -> str:
        value = traits.get(name)
        return value[:_LONGEST_TRAIT] if isinstance(value, str) else ""

    return PasswordOwner(
        email=text("email"),
        username=text("username"),
        names=(text("first_name"), text("last_name"), text("display_name")),
        has_second_factor=has_second_factor,
    )


def _score(password: str, known: Iterable[str]) -> int:
    return int(zxcvbn(password, user_inputs=sorted(known))["score"])


def _reasons(decision: Decision) -> tuple[Reason, ...]:
    return decision.reasons if isinstance(decision, Deny) else ()
