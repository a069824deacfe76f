"""The kit is a package of its own: small, typed, and in need of nothing but two libraries."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import kleis_client

KIT = Path(__file__).parents[2] / "clients" / "python"
PROJECT = tomllib.loads((KIT / "pyproject.toml").read_text())
KLEIS = tomllib.loads((KIT.parents[1] / "pyproject.toml").read_text())
MODULES = sorted((KIT / "kleis_client").glob("*.py"))
FRAMEWORKS = ("fastapi", "starlette", "django", "pydantic", "integration", "hooks", "policies")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_stay_small_and_say_what_they_are(path):
    text = path.read_text()
    assert text.count("\n") <= 250
    assert text.startswith('"""')


def test_only_two_libraries_are_needed():
    assert PROJECT["project"]["dependencies"] == ["httpx>=0.27", "pyjwt[crypto]>=2.10"]
    named = [path.stem for path in MODULES if path.stem not in {"fastapi", "django", "__init__"}]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({FRAMEWORKS}))\n"
        f"import kleis_client, {', '.join(f'kleis_client.{name}' for name in named)}"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(KIT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


def test_it_is_typed_and_no_part_of_kleis():
    assert (KIT / "kleis_client" / "py.typed").exists()
    assert "kleis_client" not in KLEIS["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert Path(kleis_client.__file__).is_relative_to(KIT)
    assert "kleis" not in packages_distributions().get("kleis_client", [])


def test_the_wheel_holds_the_kit_alone(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=KIT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.iterdir()
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    )
    names = [line.split()[0] for line in listing.stdout.splitlines()[1:]]
    assert "kleis_client/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {
        "kleis_client",
        f"kleis_client-{PROJECT['project']['version']}.dist-info",
    }
