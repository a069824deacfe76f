"""The edge, put together: which guards are asked in which order, and who handles what."""

from integration.countries import Countries
from integration.edge.access_tokens import EdgeAccessTokens
from integration.edge.admin_writes import AdminWrites
from integration.edge.api_keys import ApiKeys
from integration.edge.app import Edge
from integration.edge.asgi import ASGIApp
from integration.edge.attempt_log import AttemptLog
from integration.edge.database import Database
from integration.edge.decisions.assembly import make_decisions
from integration.edge.decisions.people import People
from integration.edge.email_guard import EmailGuard
from integration.edge.epochs import Epochs
from integration.edge.exchange import Exchange
from integration.edge.flow_ticket import FlowTicket
from integration.edge.flow_turns import FlowTurns
from integration.edge.forwarding import Forwarder
from integration.edge.guards import Guard, GuardChain
from integration.edge.handlings import Handlings
from integration.edge.hot_whoami import HotWhoami
from integration.edge.identity_admin import IdentityAdmin
from integration.edge.identity_lock import IdentityLocks
from integration.edge.keto_pages import KetoPages
from integration.edge.limits.assembly import make_limits
from integration.edge.limits.readiness import Readiness
from integration.edge.login_attempts import LoginAttempts
from integration.edge.long_polls import LongPolls
from integration.edge.outcome_reader import OutcomeReader
from integration.edge.password_guard import PasswordGuard
from integration.edge.password_histories import PasswordHistories
from integration.edge.password_judge import PasswordJudge
from integration.edge.password_learning import PasswordLearning
from integration.edge.registration_progress import RegistrationProgress
from integration.edge.role_writes import RoleWrites
from integration.edge.routes import Handling, Upstream
from integration.edge.second_factor_flows import SecondFactorFlows
from integration.edge.self_service import SelfService
from integration.edge.service_writes import ServiceWrites
from integration.edge.session_activity import Activity
from integration.edge.session_beginnings import SessionBeginnings
from integration.edge.session_cache import SessionCache
from integration.edge.session_endings import SessionEndings, SessionWrites
from integration.edge.session_gate import SessionGate
from integration.edge.session_rows import SessionRows
from integration.edge.session_standings import SessionStandings
from integration.edge.sessions import Sessions
from integration.edge.tuple_admin import TupleAdmin
from integration.edge.tuple_audit import TupleAudit
from integration.edge.tuple_ledger import TupleLedger
from integration.edge.tuple_reads import TupleReads
from integration.edge.upstream_errors import UpstreamErrors
from integration.edge.whoami import Whoami
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
    sessions = Sessions(
        settings,
        forwarder=forwarder,
        standings=SessionStandings(database),
        rows=rows,
        cache=cache,
        activity=activity,
        countries=countries,
    )
    second_factors = SecondFactorFlows(sessions)
    gate = SessionGate(exchange, sessions, public_url=public_url)
    # Guards are asked in this order and told in reverse: the first also sees what others refuse.
    guards: tuple[Guard, ...] = (
        LoginAttempts(settings, reader, attempts),
        SessionBeginnings(settings, rows, reader, countries),
        limits.guard,
        gate,
        second_factors,
        RegistrationProgress(database, reader),
        EmailGuard(forwarder, public_url=public_url),
        passwords,
        learning,
        FlowTurns(reader),
    )
    endings = SessionEndings(forwarder, sessions, rows, epochs)
    self_service = SelfService(
        exchange,
        guards=GuardChain(guards),
        limit_guard=limits.guard,
        locks=locks,
        ticket=FlowTicket(settings),
        endings=endings,
        gate=gate,
        second_factors=second_factors,
        epochs=epochs,
    )
    tuples = TupleReads(exchange)
    admin_writes = AdminWrites(forwarder, database, locks, settings)
    keys, audit, model = ApiKeys(database), TupleAudit(database), read_model()
    people = People(
        settings,
        database=database,
        sessions=sessions,
        tokens=EdgeAccessTokens(settings, database),
    )
    decisions = make_decisions(
        settings, exchange, database, epochs=epochs, keys=keys, people=people, model=model
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
