"""What judging a password costs, as ratios of one run.

The rules and the list of common passwords beside one argon2id evaluation, which every accepted
change pays once; and a full history beside none. Run: `python -m benchmarks.passwords`.
"""

import asyncio
import secrets
import statistics
import sys
import time
from collections.abc import Callable

from integration.edge.passwords.digests import SALT_BYTES
from integration.edge.passwords.judge import PasswordJudge, common_passwords
from policies import passwords
from policies.passwords import PasswordHistory, PasswordOwner, PasswordProfile

ROUNDS = 9
OWNER = PasswordOwner("ada@example.test", "ada-77", ("Augusta", "King"))
SAMPLES = ("Correct-Horse-4711", "Password1!", "zq9", "Aa1!" + "\u00e9" * 35, "x" * 5000)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def microseconds(work: Callable[[], object], *, times: int) -> float:
    """Return the median of a few rounds, of one call."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - started) / times * 1e6)
    return statistics.median(rounds)


async def judging(judge: PasswordJudge, entries: int) -> float:
    """Return the median milliseconds of judging an accepted password."""
    digests = tuple(secrets.token_bytes(32) for _ in range(entries))
    history = PasswordHistory(secrets.token_bytes(SALT_BYTES), digests)

    async def look_up() -> PasswordHistory:
        return history

    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        verdict = await judge.judge(SAMPLES[0], OWNER, look_up)
        rounds.append((time.perf_counter() - started) * 1e3)
        assert not verdict.reasons
    return statistics.median(rounds)


async def main() -> None:
    common = common_passwords()
    judge = PasswordJudge(PasswordProfile.SEED, "only for this benchmark")
    lookup = microseconds(lambda: passwords.is_common(SAMPLES[0], common), times=2000)
    linear = microseconds(lambda: SAMPLES[0] in tuple(common), times=5)
    say(f"list of {len(common)} common passwords: {lookup:.1f} us, a scan {linear / lookup:.0f} x")
    for sample in SAMPLES:
        rules = microseconds(lambda s=sample: judge.objections(s, OWNER), times=500)
        say(f"rules for {sample[:18]!r}: {rules:.1f} us")
    none, full, many = [await judging(judge, entries) for entries in (0, 5, 50)]
    rules = microseconds(lambda: judge.objections(SAMPLES[0], OWNER), times=500)
    say(f"one argon2id: {none:.1f} ms = {none * 1000 / rules:.0f} x the rules")
    say(f"history of 5: {full / none:.2f} x none; of 50: {many / none:.2f} x none")


if __name__ == "__main__":
    asyncio.run(main())
