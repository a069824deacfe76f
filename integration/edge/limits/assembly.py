"""The limits of one edge, put together."""

from dataclasses import dataclass

from integration.edge.database import Database
from integration.edge.flows.callers import Callers
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.forwarding import Forwarder
from integration.edge.limits.accounts import Accounts
from integration.edge.limits.failover import FailoverLimiter
from integration.edge.limits.guard import LimitGuard
from integration.edge.limits.local import LocalLimiter
from integration.edge.limits.valkey import ValkeyLimiter
from integration.limits.counters import Counters
from integration.limits.devices import Devices
from integration.limits.rules import rules_of
from integration.settings import Settings

# Beside the forwarded request itself: locks, other guards, reading the outcome.
_LEASE_MARGIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The guard, and the limiter that is started and closed with the edge."""

    guard: LimitGuard
    limiter: FailoverLimiter


def make_limits(
    settings: Settings, database: Database, forwarder: Forwarder, reader: OutcomeReader
) -> Limits:
    """Build both. Connects to nothing yet."""
    secret = settings.secret.get_secret_value()
    limits = rules_of(settings)
    # Longer than any answer takes: a reservation that ends while Kratos still works would let
    # one more through.
    lease = int(settings.forward_timeout.total_seconds() * 1000) + _LEASE_MARGIN_MS
    alarm = settings.limit_alarm_accounts
    limiter = FailoverLimiter(
        ValkeyLimiter(
            settings.valkey_url.get_secret_value(), limits, lease=lease, alarm_accounts=alarm
        ),
        LocalLimiter(limits, lease=lease, alarm_accounts=alarm),
    )
    guard = LimitGuard(
        limiter=limiter,
        limits=limits,
        names=Counters.of(secret),
        devices=Devices.of(settings),
        accounts=Accounts(database, secret=secret, public_url=str(settings.public_url)),
        callers=Callers(forwarder),
        reader=reader,
    )
    return Limits(guard, limiter)
