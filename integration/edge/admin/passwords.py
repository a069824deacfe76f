"""Passwords that an admin's call sets in clear text: the rules of everybody's.

History is not asked: what an admin sets is for the member to change. But it becomes part of it,
in the transaction in which the member follows. Hashes can neither be judged nor compared; that one
was imported stands in the audit, and its password is learned when somebody logs in with it.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from integration.edge.admin.bodies import PlainPassword
from integration.edge.database import Database
from integration.edge.passwords.digests import SALT_BYTES
from integration.edge.passwords.histories import PasswordHistories
from integration.edge.passwords.judge import PasswordJudge, owner_of
from integration.edge.problems import Refusal, RefusedError
from integration.settings import Settings
from policies.decisions import Reason
from policies.passwords import PasswordHistory, is_asked_for_strength


@dataclass(frozen=True, slots=True)
class NewPassword:
    """What the history keeps of a password."""

    salt: bytes
    digest: bytes


class AdminPasswords:
    """Judges them before Kratos is asked."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._judge = PasswordJudge(settings.password_profile, settings.secret.get_secret_value())
        self._asks_for_strength = is_asked_for_strength(settings.password_profile)
        self._histories = PasswordHistories(database)

    async def accepted(
        self, passwords: Iterable[PlainPassword], identity_id: UUID | None
    ) -> Mapping[int, NewPassword]:
        """Return what to keep of each password, by its place, when all are acceptable.

        Args:
            identity_id: Whose the one password is to be; None where identities are created.

        Raises:
            RefusedError: one is not; it says why, in words of the rules alone. Or the database
                does not answer.
        """
        asked = list(passwords)
        for each in asked:
            reasons = await self._objections(each)
            if reasons:
                words = " ".join(reason.text for reason in reasons)
                raise RefusedError(Refusal(400, "password_refused", words))
        return {each.place: await self._kept(each, identity_id) for each in asked}

    async def _kept(self, each: PlainPassword, identity_id: UUID | None) -> NewPassword:
        history = None if identity_id is None else await self._histories.of(identity_id)
        salt = secrets.token_bytes(SALT_BYTES) if history is None else history.salt
        return NewPassword(salt, await self._judge.digests.digest(each.password, salt))

    async def _objections(self, each: PlainPassword) -> tuple[Reason, ...]:
        owner = owner_of(each.traits, has_second_factor=False)
        if not self._asks_for_strength:
            return self._judge.objections(each.password, owner)
        return (await self._judge.judge(each.password, owner, _no_history)).reasons


async def _no_history() -> PasswordHistory | None:
    return None
