"""Decisions, put together: what they are made of, and who answers which path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integration.edge.api_keys import ApiKeys
from integration.edge.database import Database
from integration.edge.decisions.allowance import Allowance, Shares
from integration.edge.decisions.askers import Askers
from integration.edge.decisions.decide import Decisions
from integration.edge.decisions.decision_log import DecisionLog
from integration.edge.decisions.epoch_feed import EpochFeed
from integration.edge.decisions.explain_api import ExplainApi
from integration.edge.decisions.explaining import Explainer
from integration.edge.decisions.forward_auth import ForwardAuth
from integration.edge.decisions.hot_checks import HotChecks
from integration.edge.decisions.keto_checks import KetoChecks
from integration.edge.decisions.ory_checks import OryChecks
from integration.edge.decisions.people import People
from integration.edge.decisions.permission_api import PermissionApi
from integration.edge.decisions.settled_keto import SettledKeto
from integration.edge.decisions.settling import Settling
from integration.edge.decisions.standing import Standings
from integration.edge.decisions.subject_api import SubjectApi
from integration.edge.decisions.subjects import Subjects
from integration.edge.decisions.upstream import DecisionUpstream
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.handlings import Handler
from integration.edge.routes import Handling
from integration.forward_auth_rules import read_rules
from integration.limits.counters import Counters
from integration.limits.rules import questions_of
from integration.settings import Settings
from policies.relation_model import RelationModel


@dataclass(frozen=True, slots=True)
class DecisionParts:
    """What the edge needs of this package.

    Attributes:
        parts: Started and closed with the edge.
    """

    parts: Sequence[DecisionUpstream | DecisionLog]
    reads: Mapping[Handling, Handler]
    hot: HotChecks


def make_decisions(
    settings: Settings,
    exchange: Exchange,
    database: Database,
    *,
    epochs: Epochs,
    keys: ApiKeys,
    people: People,
    shares: Shares,
    model: RelationModel,
) -> DecisionParts:
    """Build the package's part of the edge."""
    seconds = settings.decision_timeout.total_seconds()
    upstream, log = DecisionUpstream(settings), DecisionLog(settings)
    standings = Standings(epochs, Subjects(database, epochs), Settling(upstream, seconds=seconds))
    keto = KetoChecks(upstream, seconds=seconds)
    decisions = Decisions(settings, standings=standings, keto=keto)
    epochs.on_another_past(decisions.cache.clear)
    askers = Askers(keys, people)
    names = Counters.of(settings.secret.get_secret_value())
    allowance = Allowance(shares, questions_of(settings), names)
    api = PermissionApi(exchange, askers, allowance, decisions, log)
    explanations = ExplainApi(
        exchange,
        askers,
        allowance=allowance,
        decisions=decisions,
        explainer=Explainer(
            model, upstream, database, seconds=settings.upstream_timeout.total_seconds()
        ),
        log=log,
    )
    file = settings.forward_auth_rules
    forward_auth = ForwardAuth(
        settings,
        () if file is None else read_rules(file),
        people=people,
        decisions=decisions,
        log=log,
    )
    settled = SettledKeto(settings, exchange, upstream=upstream, standings=standings)
    ory = OryChecks(settings, exchange, askers=askers, keto=settled, decisions=decisions, log=log)
    return DecisionParts(
        parts=(upstream, log),
        hot=HotChecks(keys, decisions, log),
        reads={
            Handling.CHECK: ory.check,
            Handling.BATCH_CHECK: ory.batch,
            Handling.PERMISSION_CHECK: api.check,
            Handling.PERMISSION_BATCH_CHECK: api.batch_check,
            Handling.PERMISSION_EXPLAIN: explanations.explain,
            Handling.PERMISSION_SUBJECT: SubjectApi(askers, database).answer,
            Handling.FORWARD_AUTH: forward_auth.answer,
            Handling.PERMISSION_EPOCHS: EpochFeed(askers, database, epochs).answer,
        },
    )
