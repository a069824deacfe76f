"""Parts of the launcher that need no server: configuration, ports, secrets, the cache."""

import json
import os
import re
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from integration.errors import StackError
from integration.launch import ports, toolchain
from integration.launch.binaries import KETO, KRATOS, default_cache, obtain
from integration.launch.configuration import KetoConfiguration, KratosConfiguration, render
from integration.launch.credentials import credentials_of, new_credentials
from integration.launch.home import CHECKOUT, Home, held, home_at, is_held, make_home
from integration.launch.kleis import settings_for
from integration.launch.placement import Placement
from integration.launch.postgres import SUPERUSER, Cluster
from integration.launch.programs import Startup, bare
from integration.launch.stopping import Stop
from integration.settings import StackSettings

KRATOS_VALUES = KratosConfiguration(
    dsn="postgres://kratos:pw@/kratos?host=/tmp/x&sslmode=disable&max_conns=16",
    public_url="http://127.0.0.1:4455",
    hooks_url="http://127.0.0.1:4456",
    hook_secret="h" * 43,
    cookie_secret="c" * 43,
    cipher_secret="x" * 32,
    default_secret="d" * 43,
    folder="/etc/kratos",
)
KETO_VALUES = KetoConfiguration(dsn="postgres://keto:pw@/keto?host=/tmp/x", folder="/etc/keto")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = home_at(tmp_path / "home")
    make_home(made)
    return made


def test_both_configurations_have_a_value_for_every_placeholder(tmp_path: Path) -> None:
    render(CHECKOUT / "kratos" / "kratos.yml", KRATOS_VALUES, tmp_path / "kratos.yml")
    render(CHECKOUT / "keto" / "keto.yml", KETO_VALUES, tmp_path / "keto.yml")
    kratos = yaml.safe_load((tmp_path / "kratos.yml").read_text())
    keto = yaml.safe_load((tmp_path / "keto.yml").read_text())
    assert kratos["dsn"] == KRATOS_VALUES.dsn
    assert kratos["serve"]["admin"]["port"] == 4434
    assert keto["serve"]["opl"]["port"] == 4469


@pytest.mark.parametrize("values", [KRATOS_VALUES, KETO_VALUES])
def test_every_value_is_used(values: KratosConfiguration | KetoConfiguration) -> None:
    name = "kratos" if isinstance(values, KratosConfiguration) else "keto"
    source = (CHECKOUT / name / f"{name}.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)\}", source)) == {key.upper() for key in asdict(values)}


def test_a_rendered_configuration_is_private(tmp_path: Path) -> None:
    target = tmp_path / "keto.yml"
    target.write_text("")
    target.chmod(0o644)
    render(CHECKOUT / "keto" / "keto.yml", KETO_VALUES, target)
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("evil", ["a\nlog: {level: trace}", 'a"b', "a'b", "a #b", "a\\b", ""])
def test_a_value_cannot_become_configuration(tmp_path: Path, evil: str) -> None:
    values = KetoConfiguration(dsn=evil, folder="/etc/keto")
    with pytest.raises(StackError, match="value for DSN") as refused:
        render(CHECKOUT / "keto" / "keto.yml", values, tmp_path / "keto.yml")
    assert "trace" not in refused.value.message


def test_a_taken_port_is_named_with_its_setting() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is taken.*KLEIS_PORT_KETO_OPL"):
            ports.require_free({"port_keto_opl": port})


def test_two_settings_of_one_port_are_both_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(StackError, match="KLEIS_PORT_EDGE and KLEIS_PORT_HOOKS are both"):
        ports.require_free({"port_edge": port, "port_hooks": port})


def test_secrets_are_made_once_and_kept_private(home: Home) -> None:
    made = credentials_of(home)
    assert credentials_of(home) == made
    assert home.credentials.stat().st_mode & 0o777 == 0o600
    assert len(made.cipher_secret) == 32
    assert len(set(made.demo_passwords.values())) == 4


def test_damaged_secrets_are_one_sentence(home: Home) -> None:
    home.credentials.write_text(json.dumps({"hook_secret": "x"}))
    with pytest.raises(StackError, match=r"delete .* for a fresh start"):
        credentials_of(home)


def test_a_home_is_held_by_one_at_a_time(home: Home) -> None:
    with held(home):
        assert is_held(home)
        with pytest.raises(StackError, match="already running"), held(home):
            pass
    assert not is_held(home)


def test_servers_get_no_setting_by_accident() -> None:
    environ = {"PATH": "/bin", "LOG_LEVEL": "trace", "PGHOST": "elsewhere", "DSN": "memory"}
    assert bare(environ) == {"PATH": "/bin"}


def test_the_operator_sets_what_the_stack_does_not_run() -> None:
    placement = Placement(Path("/tmp/s"), Path("/tmp/d"), Path("/tmp/b"), account=None)
    cluster = Cluster(placement, dict.fromkeys((SUPERUSER, "kleis", "kratos", "keto"), "pw"))
    given = {
        "KLEIS_SMTP_URL": "smtp://mail.example:587",
        "KLEIS_PUBLIC_URL": "https://login.example/",
        "KLEIS_DATABASE_URL": "postgresql://somewhere/else",
    }
    made = settings_for(StackSettings(), new_credentials(), cluster, given)
    assert made["KLEIS_SMTP_URL"] == "smtp://mail.example:587"
    assert made["KLEIS_PUBLIC_URL"] == "https://login.example/"
    assert made["KLEIS_DATABASE_URL"] == "postgresql://kleis:pw@/kleis?host=/tmp/s"
    assert made["KLEIS_EMBEDDED"] == "true"


def test_a_given_program_must_be_one(tmp_path: Path, startup: Startup) -> None:
    missing = tmp_path / "kratos"
    with pytest.raises(StackError, match="KLEIS_KRATOS_BIN"):
        obtain(KRATOS, given=missing, cache=tmp_path, startup=startup)


def test_a_toolchain_that_cannot_be_fetched_says_what_to_set(
    tmp_path: Path, pathless: Callable[[], Startup]
) -> None:
    with pytest.raises(StackError, match=r"install Go, or set KLEIS_KRATOS_BIN"):
        toolchain.find(KETO.folder / "go.mod", tmp_path, pathless())


def test_a_failed_build_shows_its_last_lines_and_leaves_nothing(
    tmp_path: Path, broken_go: Startup
) -> None:
    with pytest.raises(StackError, match=r"(?s)KLEIS_KETO_BIN.*out of gophers"):
        obtain(KETO, given=None, cache=tmp_path, startup=broken_go)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_a_half_built_cache_is_built_again(tmp_path: Path, fake_go: Startup) -> None:
    built = obtain(KETO, given=None, cache=tmp_path, startup=fake_go)
    whole = built.read_bytes()
    built.write_bytes(whole[:3])
    (tmp_path / f"{built.name}.new").write_bytes(b"half")
    assert obtain(KETO, given=None, cache=tmp_path, startup=fake_go).read_bytes() == whole
    assert os.access(built, os.X_OK)


def test_a_built_server_is_not_built_again(tmp_path: Path, fake_go: Startup) -> None:
    first = obtain(KETO, given=None, cache=tmp_path, startup=fake_go).stat().st_mtime_ns
    again = obtain(KETO, given=None, cache=tmp_path, startup=fake_go).stat().st_mtime_ns
    assert first == again


def test_the_cache_lies_in_the_users_cache_folder() -> None:
    assert default_cache({"HOME": "/h", "XDG_CACHE_HOME": "/c"}).name == "kleis"


@pytest.fixture
def startup() -> Startup:
    return Startup({"PATH": os.defpath}, print, Stop(), lambda _record: None)


@pytest.fixture
def pathless(tmp_path: Path) -> Callable[[], Startup]:
    """No Go on PATH, and an index that is not there."""
    environ = {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
    }
    return lambda: Startup(environ, print, Stop(), lambda _record: None)


def _go(folder: Path, build: str) -> Startup:
    """A `go` that is new enough and builds as `build` does; `$out` is what it must write."""
    program = folder / "bin" / "go"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nif [ "$1" = env ]; then echo go1.99.0; exit 0; fi\n'
        'while [ "$1" != -o ]; do shift; done\nout=$2\n' + build
    )
    program.chmod(0o755)
    environ = {"PATH": f"{program.parent}:{os.defpath}", "HOME": str(folder)}
    return Startup(environ, print, Stop(), lambda _record: None)


@pytest.fixture
def fake_go(tmp_path_factory: pytest.TempPathFactory) -> Startup:
    return _go(tmp_path_factory.mktemp("go"), 'echo a server > "$out"; chmod 755 "$out"\n')


@pytest.fixture
def broken_go(tmp_path_factory: pytest.TempPathFactory) -> Startup:
    return _go(tmp_path_factory.mktemp("go"), "echo out of gophers; exit 1\n")
