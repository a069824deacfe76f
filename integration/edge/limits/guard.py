"""The guard: room is taken before Kratos is asked, and settled by how it ended."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from integration.edge.asgi import Answer
from integration.edge.flows.callers import Callers
from integration.edge.flows.guards import Submit
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.submit_outcomes import Outcome, SubmitOutcome
from integration.edge.limits.accounts import Accounts
from integration.edge.limits.claims import Claim, claims_of, names_nobody, needs_account
from integration.edge.limits.limiter import Limiter, Refused, Reserved, Settled
from integration.edge.limits.refusals import refusal_of
from integration.edge.problems import Refusal
from integration.limits import counters, rules
from integration.limits.counters import Counters
from integration.limits.devices import Device, Devices
from integration.limits.rules import Rules
from integration.limits.unlocking import PASS_SECONDS
from policies.limits import Verdict

log = structlog.get_logger()


@dataclass(slots=True)
class _Taken:
    """What one submit holds while Kratos is asked."""

    identity_id: UUID | None
    account: bytes | None
    device: Device | None
    rooms: list[tuple[Claim, Reserved]]


class LimitGuard:
    """Limits, lock-out, and the cookie of known browsers."""

    def __init__(
        self,
        *,
        limiter: Limiter,
        limits: Rules,
        names: Counters,
        devices: Devices,
        accounts: Accounts,
        callers: Callers,
        reader: OutcomeReader,
    ) -> None:
        self._limiter = limiter
        self._limits = limits
        self._names = names
        self._devices = devices
        self._accounts = accounts
        self._callers = callers
        self._reader = reader
        self._taken: dict[int, _Taken] = {}

    async def before(self, submit: Submit) -> Refusal | None:
        taken = await self._about(submit)
        if taken.device is not None:
            submit.device_id = taken.device.uuid
        for claim in claims_of(submit, taken.account, taken.device):
            answer = await self._limiter.reserve(claim.ask)
            if isinstance(answer, Refused):
                await self._give_back(taken)
                log.info("limited", rule=self._limits[counters.letter_of(answer.key)].name)
                return refusal_of(answer, self._limits)
            taken.rooms.append((claim, answer))
        self._taken[id(submit)] = taken
        return None

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        taken = self._taken.pop(id(submit), None)
        if taken is None or not taken.rooms:
            return
        ended = await self._reader.of(submit, answer)
        for claim, reserved in taken.rooms:
            # What Kratos was not asked about uses nothing up, whatever the refusal was called.
            verdict = Verdict.FREE if answer is None else claim.verdict(ended)
            await self._settle(taken, claim, reserved, verdict)
        if ended.outcome is Outcome.SUCCESS and submit.flow == "recovery":
            await self._recovered(submit, ended)

    def added(self, submit: Submit, answer: Answer) -> Answer:
        """Return the answer, with the cookie when a browser has just logged in."""
        ended = submit.outcome
        if ended is None or ended.outcome is not Outcome.SUCCESS or ended.identity_id is None:
            return answer
        if ended.flow not in ("login", "recovery") or not submit.is_of_browser:
            return answer
        account = self._names.account(ended.identity_id, "")
        if account is None:
            return answer
        brought = self._devices.read(submit.request.header(b"cookie"))
        known = brought or Device(submit.fresh_device_id.bytes, ())
        cookie = self._devices.cookie(known, account)
        return Answer(
            answer.status, [*answer.headers, (b"set-cookie", cookie.encode())], answer.body
        )

    async def _about(self, submit: Submit) -> _Taken:
        """Find out whose account a submit is about, and what browser sent it."""
        identity_id = account = device = None
        if needs_account(submit):
            if names_nobody(submit):
                caller = await self._callers.of(submit)
                identity_id = None if caller is None else caller.identity_id
            elif submit.identifier is not None:
                identity_id = await self._accounts.named(submit.identifier)
            account = self._names.account(identity_id, submit.identifier or "")
        if submit.is_of_browser:
            device = self._devices.read(submit.request.header(b"cookie"))
        return _Taken(identity_id, account, device, [])

    async def _give_back(self, taken: _Taken) -> None:
        for _, reserved in taken.rooms:
            await self._limiter.settle(reserved, Verdict.FREE)

    async def _settle(
        self, taken: _Taken, claim: Claim, reserved: Reserved, verdict: Verdict
    ) -> None:
        mark = account = b""
        if claim.is_attempt and taken.account is not None:
            account = taken.account
            mark = self._names.mark(account, claim.typed) if claim.typed else b""
        settled = await self._limiter.settle(reserved, verdict, mark=mark, account=account)
        if settled.is_alarm:
            log.warning("stuffing_suspected")
        await self._tell(taken, settled)

    async def _tell(self, taken: _Taken, settled: Settled) -> None:
        for key, block in settled.blocks:
            letter = counters.letter_of(key)
            rule = self._limits[letter]
            log.warning("blocked", rule=rule.name, seconds=block // 1000)
            # Blocks that follow each other are one to the person: the first is told.
            if letter == rules.ACCOUNT and block == rule.block and taken.identity_id is not None:
                await self._accounts.mail_unlock_link(taken.identity_id)

    async def _recovered(self, submit: Submit, ended: SubmitOutcome) -> None:
        account = None
        if ended.identity_id is not None:
            account = self._names.account(ended.identity_id, "")
        if account is None:
            return
        address = submit.request.client_address
        await self._limiter.unlock(
            counters.unlocked_with(account, address),
            counters.of_pass(address, account),
            PASS_SECONDS,
        )
