"""From an empty folder to ready: which step waits for which."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from integration.errors import StackError
from integration.launch import binaries, configuration, kleis, openid, ory, ports, postgres, valkey
from integration.launch.binaries import Server
from integration.launch.configuration import KetoConfiguration, KratosConfiguration
from integration.launch.credentials import Credentials, credentials_of, store
from integration.launch.demo_members import demo_members
from integration.launch.files import last_lines, write_json
from integration.launch.home import CHECKOUT, Home
from integration.launch.memory import Memory
from integration.launch.placement import place
from integration.launch.postgres import Cluster
from integration.launch.programs import Program, Startup, bare, indented, run_once
from integration.launch.supervisor import Supervisor
from integration.settings import StackSettings

PATIENCE = 90.0
"""Seconds one server may take to become ready; a busy machine takes a few."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is settled before the first server runs."""

    settings: StackSettings
    home: Home
    startup: Startup
    supervisor: Supervisor
    memory: Memory
    credentials: Credentials
    cluster: Cluster
    demo_provider: openid.Demo | None
    oidc_providers: tuple[dict[str, Any], ...]

    @property
    def kleis_environ(self) -> dict[str, str]:
        environ = self.startup.environ
        return kleis.settings_for(self.settings, self.credentials, self.cluster, environ)


def plan(settings: StackSettings, home: Home, startup: Startup, supervisor: Supervisor) -> Plan:
    credentials = credentials_of(home)
    cluster = Cluster(
        placement=place(home, postgres.installed_programs()),
        passwords={
            postgres.SUPERUSER: credentials.postgres_password,
            "kleis": credentials.kleis_password,
            "kratos": credentials.kratos_password,
            "keto": credentials.keto_password,
        },
    )
    demo = openid.demo_for(settings, kleis.public_url(settings, startup.environ))
    return Plan(
        settings,
        home,
        startup,
        supervisor,
        Memory(home),
        credentials,
        cluster,
        demo_provider=demo,
        oidc_providers=openid.all_providers(settings, demo),
    )


def bring_up(it: Plan) -> Credentials:
    """Start everything, what can be at once, and return when all of it is ready.

    Raises:
        StackError: one step failed.
        Stopped: somebody asked for a stop meanwhile.
    """
    with ThreadPoolExecutor(max_workers=7, thread_name_prefix="start") as pool:
        databases = pool.submit(_databases, it)
        kratos = pool.submit(_obtain, it, binaries.KRATOS, it.settings.kratos_bin)
        keto = pool.submit(_obtain, it, binaries.KETO, it.settings.keto_bin)
        steps: list[Future[Any]] = [
            databases,
            kratos,
            keto,
            pool.submit(_kratos, it, databases, kratos),
            pool.submit(_keto, it, databases, keto),
            pool.submit(_kleis, it, databases),
            pool.submit(_demo_provider, it),
        ]
        done, _ = wait(steps, return_when=FIRST_EXCEPTION)
        if failed := next((step.exception() for step in done if step.exception()), None):
            # The other steps wait for something that will not come.
            it.startup.stop.request()
            raise failed
    _await(it, "edge", lambda: ory.answers(f"{kleis.edge_url(it.settings)}/health/ready"))
    return _seeded(it)


def _obtain(it: Plan, server: Server, given: Path | None) -> Path:
    cache = it.settings.cache
    folder = cache.expanduser() if cache else binaries.default_cache(it.startup.environ)
    return binaries.obtain(server, given=given, cache=CHECKOUT / folder, startup=it.startup)


def _databases(it: Plan) -> None:
    sockets = it.cluster.placement.sockets
    it.supervisor.start(valkey.program(sockets, it.home.root / "valkey"))
    if postgres.prepare(it.cluster, it.startup):
        it.memory.forget_all()
    it.supervisor.start(postgres.program(it.cluster))
    _await(it, "postgres", lambda: postgres.is_ready(it.cluster))
    _once(it, "databases", "1", lambda: postgres.make_databases(it.cluster))
    _await(it, "valkey", lambda: valkey.is_ready(sockets))


def _kratos(it: Plan, databases: Future[None], found: Future[Path]) -> None:
    settings, secrets = it.settings, it.credentials
    dsn, environ = it.cluster.dsn("kratos"), bare(it.startup.environ)
    values = KratosConfiguration(
        dsn=dsn,
        public_url=it.kleis_environ["KLEIS_PUBLIC_URL"].rstrip("/"),
        hooks_url=it.kleis_environ["KLEIS_HOOKS_URL"].rstrip("/"),
        hook_secret=secrets.hook_secret,
        cookie_secret=secrets.cookie_secret,
        cipher_secret=secrets.cipher_secret,
        default_secret=secrets.default_secret,
        folder=str(_folder(it, "kratos")),
        host=ports.HOST,
        port_public=settings.port_kratos_public,
        port_admin=settings.port_kratos_admin,
        bcrypt_cost=settings.bcrypt_cost,
        oidc_providers=it.oidc_providers,
        hash_duration=f"{max(1, 300 * 2**settings.bcrypt_cost // 2**12)}ms",
    )
    target = it.home.kratos_configuration
    configuration.render(CHECKOUT / "kratos" / "kratos.yml", values, target)
    binary = found.result()
    databases.result()
    migration = ory.kratos_migration(binary, dsn, environ)
    _once(it, "kratos", _mark(binary), lambda: _migrate(it, migration))
    it.supervisor.start(ory.kratos(binary, target, environ))
    # On the admin port the path is another one in each release.
    address = f"http://{ports.HOST}:{settings.port_kratos_public}"
    _await(it, "kratos", lambda: ory.answers(f"{address}/health/ready"))


def _keto(it: Plan, databases: Future[None], found: Future[Path]) -> None:
    settings, environ = it.settings, bare(it.startup.environ)
    values = KetoConfiguration(
        dsn=it.cluster.dsn("keto"),
        folder=str(_folder(it, "keto")),
        host=ports.HOST,
        port_read=settings.port_keto_read,
        port_write=settings.port_keto_write,
        port_metrics=settings.port_keto_metrics,
        port_opl=settings.port_keto_opl,
    )
    target = it.home.keto_configuration
    configuration.render(CHECKOUT / "keto" / "keto.yml", values, target)
    binary = found.result()
    databases.result()
    migration = ory.keto_migration(binary, target, environ)
    _once(it, "keto", _mark(binary), lambda: _migrate(it, migration))
    it.supervisor.start(ory.keto(binary, target, environ))
    address = f"http://{ports.HOST}:{settings.port_keto_read}"
    _await(it, "keto", lambda: ory.keto_is_ready(address))


def _kleis(it: Plan, databases: Future[None]) -> None:
    write_json(it.home.settings, kleis.only_settings(it.kleis_environ))
    databases.result()
    migration = kleis.migration(it.kleis_environ)
    _once(it, "kleis", kleis.schema_mark(), lambda: _migrate(it, migration))
    for role in kleis.ROLES:
        it.supervisor.start(kleis.program(role, it.kleis_environ))


def _demo_provider(it: Plan) -> None:
    demo = it.demo_provider
    if demo is not None:
        program = openid.program(demo, it.home.demo_provider, it.startup.environ)
        it.supervisor.start(program)
        _await(it, program.name, lambda: ory.answers(f"{demo.issuer}/jwks"))


def _seeded(it: Plan) -> Credentials:
    if it.memory.has("demo", "1"):
        return it.credentials
    # Costs a second and much memory, and is needed at the first start alone.
    from integration.launch import demo  # noqa: PLC0415

    people = demo_members(it.credentials.demo_passwords)
    key = demo.seed(it.kleis_environ, people)
    credentials = replace(it.credentials, admin_api_key=key)
    store(it.home, credentials)
    it.memory.note("demo", "1")
    return credentials


def _folder(it: Plan, name: str) -> Path:
    """Return `kratos/` or `keto/` under a name that a configuration file can carry."""
    folder = CHECKOUT / name
    if configuration.is_plain(str(folder)):
        return folder
    link = it.cluster.placement.sockets / name
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return link


def _once(it: Plan, step: str, mark: str, action: Callable[[], None]) -> None:
    if not it.memory.has(step, mark):
        action()
        it.memory.note(step, mark)


def _migrate(it: Plan, program: Program) -> None:
    run_once(program, it.startup, failure=f"{program.name} failed")


def _mark(binary: Path) -> str:
    found = binary.stat()
    return f"{binary} {found.st_size} {found.st_mtime_ns}"


def _await(it: Plan, name: str, is_ready: Callable[[], bool]) -> None:
    """Wait until `is_ready`.

    Raises:
        StackError: not within `PATIENCE`; shows the last lines of the log of `name`.
    """
    waited = 0.0
    while not is_ready():
        if waited >= PATIENCE:
            log = it.home.logs / f"{name}.log"
            said = indented(last_lines(log))
            raise StackError(f"{name} was not ready after {PATIENCE:.0f} s; see {log}\n{said}")
        it.startup.stop.pause(0.1)
        waited += 0.1
