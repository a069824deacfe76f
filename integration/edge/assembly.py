"""The edge, put together: which guards are asked in which order, and who handles what."""

from integration.countries import Countries
from integration.edge.access_tokens import EdgeAccessTokens
from integration.edge.admin.identities import IdentityAdmin
from integration.edge.admin.writes import AdminWrites
from integration.edge.api_keys import ApiKeys
from integration.edge.app import Edge
from integration.edge.asgi import ASGIApp
from integration.edge.database import Database
from integration.edge.decisions.assembly import make_decisions
from integration.edge.decisions.people import People
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.flows.attempt_log import AttemptLog
from integration.edge.flows.connection_guard import ConnectionGuard
from integration.edge.flows.email_guard import EmailGuard
from integration.edge.flows.flow_ticket import FlowTicket
from integration.edge.flows.flow_turns import FlowTurns
from integration.edge.flows.guards import Guard, GuardChain, SideBySide
from integration.edge.flows.login_attempts import LoginAttempts
from integration.edge.flows.oidc_ticket import OidcTicket
from integration.edge.flows.outcome_reader import OutcomeReader
from integration.edge.flows.registration_progress import RegistrationProgress
from integration.edge.flows.self_service import SelfService
from integration.edge.forwarding import Forwarder
from integration.edge.handlings import Handlings
from integration.edge.identity_lock import IdentityLocks
from integration.edge.limits.assembly import make_limits
from integration.edge.limits.readiness import Readiness
from integration.edge.long_polls import LongPolls
from integration.edge.passwords.guard import PasswordGuard
from integration.edge.passwords.histories import PasswordHistories
from integration.edge.passwords.judge import PasswordJudge
from integration.edge.passwords.learning import PasswordLearning
from integration.edge.routes import Handling, Upstream
from integration.edge.service_writes import ServiceWrites
from integration.edge.sessions.activity import Activity
from integration.edge.sessions.beginnings import SessionBeginnings
from integration.edge.sessions.cache import SessionCache
from integration.edge.sessions.current import Sessions
from integration.edge.sessions.endings import SessionEndings, SessionWrites
from integration.edge.sessions.gate import SessionGate
from integration.edge.sessions.hot_whoami import HotWhoami
from integration.edge.sessions.one_member import OneMember
from integration.edge.sessions.rows import SessionRows
from integration.edge.sessions.second_factor_flows import SecondFactorFlows
from integration.edge.sessions.standings import SessionStandings
from integration.edge.sessions.whoami import Whoami
from integration.edge.sessions.withheld import WithheldSessions
from integration.edge.tuples.admin import TupleAdmin
from integration.edge.tuples.audit import TupleAudit
from integration.edge.tuples.keto_pages import KetoPages
from integration.edge.tuples.ledger import TupleLedger
from integration.edge.tuples.reads import TupleReads
from integration.edge.tuples.role_writes import RoleWrites
from integration.edge.upstream_errors import UpstreamErrors
from integration.keto_model import read_model
from integration.settings import Settings


def make_edge(settings: Settings) -> ASGIApp:
    """Build the edge. It connects to nothing before its lifespan starts."""
    public_url = str(settings.public_url)
    forwarder = Forwarder(settings)
    database = Database(settings)
    locks = IdentityLocks(settings)
    epochs = Epochs(settings, database)
    activity, countries = Activity(settings, database), Countries(settings.country_database)
    private = [str(getattr(settings, each.value)) for each in Upstream]
    exchange = Exchange(
        forwarder,
        UpstreamErrors(private),
        body_seconds=settings.forward_timeout.total_seconds(),
    )
    reader, attempts = OutcomeReader(forwarder), AttemptLog(settings)
    judge = PasswordJudge(settings.password_profile, settings.secret.get_secret_value())
    histories = PasswordHistories(database)
    passwords = PasswordGuard(settings, forwarder, database, judge, histories)
    learning = PasswordLearning(reader, histories, judge.digests)
    limits = make_limits(settings, database, forwarder, reader)
    rows, cache = SessionRows(database), SessionCache(settings, epochs, activity)
    standings = SessionStandings(database)
    sessions = Sessions(
        settings,
        forwarder=forwarder,
        standings=standings,
        rows=rows,
        cache=cache,
        activity=activity,
        countries=countries,
    )
    second_factors = SecondFactorFlows(sessions)
    gate = SessionGate(exchange, sessions, public_url=public_url)
    # Guards are asked in this order and told in reverse: the first also sees what others refuse.
    guards: tuple[Guard, ...] = (
        learning,
        SideBySide(
            LoginAttempts(settings, reader, attempts),
            limits.guard,
            SessionBeginnings(settings, rows, reader, countries, epochs),
        ),
        gate,
        second_factors,
        RegistrationProgress(database, reader),
        EmailGuard(forwarder, public_url=public_url),
        ConnectionGuard(forwarder, public_url=public_url),
        passwords,
        FlowTurns(reader),
    )
    endings = SessionEndings(forwarder, sessions, rows, epochs)
    self_service = SelfService(
        exchange,
        guards=GuardChain(guards),
        limit_guard=limits.guard,
        locks=locks,
        ticket=FlowTicket(settings),
        oidc_ticket=OidcTicket(settings),
        endings=endings,
        gate=gate,
        second_factors=second_factors,
        withheld=WithheldSessions(forwarder, sessions, standings, rows),
        epochs=epochs,
    )
    tuples = TupleReads(exchange)
    admin_writes = AdminWrites(forwarder, database, locks, settings)
    keys, audit, model = ApiKeys(database), TupleAudit(database), read_model()
    tokens = EdgeAccessTokens(settings, database)
    people = People(settings, database=database, sessions=sessions, tokens=tokens)
    decisions = make_decisions(
        settings,
        exchange,
        database,
        epochs=epochs,
        keys=keys,
        people=people,
        shares=limits.limiter,
        model=model,
    )
    pages = KetoPages(forwarder, seconds=settings.upstream_timeout.total_seconds())
    tuple_admin = TupleAdmin(
        exchange,
        model=model,
        keys=keys,
        locks=locks,
        pages=pages,
        ledger=TupleLedger(database, pages),
        audit=audit,
        roles=RoleWrites(forwarder, audit, settings),
        epochs=epochs,
    )
    handlings = Handlings(
        exchange,
        reads={
            Handling.SELF_SERVICE: self_service.read,
            Handling.WHOAMI: Whoami(exchange, sessions, public_url=public_url).answer,
            Handling.OWN_SESSIONS: gate.read_sessions,
            Handling.TUPLE_LIST: tuples.list,
            Handling.TUPLE_EXPAND: tuples.expand,
            **decisions.reads,
            Handling.READINESS: Readiness(exchange, limits.limiter).answer,
        },
        writes={
            Handling.SELF_SERVICE: self_service.submit,
            Handling.OWN_SESSIONS: SessionWrites(exchange, gate, endings).revoke,
            Handling.IDENTITY_ADMIN: IdentityAdmin(
                exchange, admin_writes, endings, epochs, public_url=public_url
            ).write,
            Handling.TUPLE_ADMIN: tuple_admin.write,
            Handling.SERVICE: ServiceWrites(exchange, epochs).write,
        },
        forwards={Handling.LONG_POLL: LongPolls(exchange).forward},
    )
    return Edge(
        settings=settings,
        keys=keys,
        handlings=handlings,
        one_member=OneMember(sessions, tokens),
        hot=HotWhoami(cache),
        hot_checks=decisions.hot,
        parts=(
            database,
            locks,
            forwarder,
            attempts,
            limits.limiter,
            epochs,
            activity,
            *decisions.parts,
        ),
        finishing=(passwords.finish, learning.finish, endings.finish),
    )
