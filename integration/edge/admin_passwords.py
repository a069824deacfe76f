"""Passwords that an admin's call sets in clear text: the rules of everybody's.

History is not asked: what an admin sets is for the member to change. Hashes cannot be judged;
that one was imported stands in the audit.
"""

from collections.abc import Iterable

from integration.edge.admin_bodies import PlainPassword
from integration.edge.password_judge import PasswordJudge, owner_of
from integration.edge.problems import Refusal, RefusedError
from integration.settings import Settings
from policies.decisions import Reason
from policies.passwords import PasswordHistory, is_asked_for_strength


class AdminPasswords:
    """Judges them before Kratos is asked."""

    def __init__(self, settings: Settings) -> None:
        self._judge = PasswordJudge(settings.password_profile, settings.secret.get_secret_value())
        self._asks_for_strength = is_asked_for_strength(settings.password_profile)

    async def require_good(self, passwords: Iterable[PlainPassword]) -> None:
        """Return when all are acceptable.

        Raises:
            RefusedError: one is not; it says why, in words of the rules alone.
        """
        for each in passwords:
            reasons = await self._objections(each)
            if reasons:
                words = " ".join(reason.text for reason in reasons)
                raise RefusedError(Refusal(400, "password_refused", words))

    async def _objections(self, each: PlainPassword) -> tuple[Reason, ...]:
        owner = owner_of(each.traits, has_second_factor=False)
        if not self._asks_for_strength:
            return self._judge.objections(each.password, owner)
        return (await self._judge.judge(each.password, owner, _no_history)).reasons


async def _no_history() -> PasswordHistory | None:
    return None
