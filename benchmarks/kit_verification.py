"""What verifying an access token with the client kit costs, beside bare PyJWT in the same run.

Keys come from a small issuer on this machine, fetched once before anything is measured. PyJWT gets
the key and the claims to check, and looks for no key, no revocation and no size.

    python -m benchmarks.kit_verification [--tokens 2000] [--rounds 7]

Prints times per token and the ratios: uncached to bare PyJWT (wanted: at most 1.3), and what one
takes from the cache (wanted: at most 10 µs).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jwt

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python"))

from kleis_client import RevocationFeed, TokenVerifier
from tests.kit.issuer_double import AUDIENCE, IssuerDouble, SigningKey

PERMISSIONS = [f"content.action-{number}" for number in range(20)]
Check = Callable[[str], object]


def per_token(check: Check, tokens: list[str]) -> float:
    """Return the microseconds of CPU that `check` takes for each of `tokens`."""
    began = time.thread_time()
    for token in tokens:
        check(token)
    return (time.thread_time() - began) / len(tokens) * 1e6


def bare(issuer: IssuerDouble) -> Check:
    """PyJWT as its documentation shows it, with the key at hand."""
    key = jwt.PyJWK(issuer.keys[0].jwk)
    required = ["exp", "iat", "nbf", "sub", "iss", "aud", "jti"]

    def check(token: str) -> object:
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=AUDIENCE,
            issuer=issuer.url,
            options={"require": required},
        )

    return check


def measure(algorithm: str, count: int, rounds: int) -> None:
    issuer = IssuerDouble()
    issuer.keys = [SigningKey("key-1", algorithm)]
    tokens = [issuer.token(permissions=PERMISSIONS) for _ in range(count)]
    feed = RevocationFeed(issuer.url)
    uncached = TokenVerifier(issuer.url, AUDIENCE, revocations=feed, cache_size=1)
    cached = TokenVerifier(issuer.url, AUDIENCE, revocations=feed, cache_size=count)
    ways = {"PyJWT": bare(issuer), "kit": uncached.verify, "kit, cached": cached.verify}
    for check in ways.values():
        per_token(check, tokens)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, check in ways.items():
            times[name].append(per_token(check, tokens))
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, value in middle.items():
        print(
            f"{algorithm:>6} {name:>12}: {value:7.1f} µs; / PyJWT = {value / middle['PyJWT']:.3f}"
        )
    for verifier in (uncached, cached):
        verifier.close()
    issuer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for algorithm in ("EdDSA", "ES256"):
        measure(algorithm, given.tokens, given.rounds)


if __name__ == "__main__":
    main()
