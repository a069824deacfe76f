"""Promises the code base makes about itself."""

import importlib.metadata
import typing
from pathlib import Path

import pytest

import hooks
import integration
import policies
from hooks import replies
from integration import effects, errors
from integration.api import problems
from integration.mail import composing
from integration.settings import Settings, StackSettings
from policies import lifecycle
from policies.decisions import Effect, SendMail

ROOT = Path(__file__).parents[2]
PYTHON = [
    path
    for package in ("policies", "hooks", "integration")
    for path in (ROOT / package).rglob("*.py")
    if "versions" not in path.parts
]


def _kinds_of(error: type[errors.KleisError]) -> set[type[errors.KleisError]]:
    below = error.__subclasses__()
    return set(below).union(*map(_kinds_of, below))


def test_every_error_has_a_status():
    assert _kinds_of(errors.KleisError) == set(problems.STATUS_OF)


def test_every_effect_can_be_stored_and_has_a_lane():
    assert set(typing.get_args(Effect)) == set(effects.KINDS.values()) == set(effects.LANES)


def test_every_mail_an_arrow_sends_has_a_template():
    sent = {
        effect.template
        for arrow in lifecycle.TRANSITIONS
        for effect in arrow.effects
        if isinstance(effect, SendMail)
    }
    assert sent <= composing.names()


def test_every_reason_a_hook_may_give_has_a_message_id_of_our_own_range():
    ids = list(replies.MESSAGE_IDS.values())
    assert len(ids) == len(set(ids))
    assert all(9_400_000 < number < 9_500_000 for number in ids)
    asked = {
        "decide_registration",
        "decide_change_of_traits",
        "decide_login",
        "decide_recovery",
    }
    sources = [
        "registration",
        "usernames",
        "email_addresses",
        "email_changes",
        "login",
        "passwords",
    ]
    text = "".join((ROOT / "policies" / f"{name}.py").read_text() for name in sources)
    assert all(name in text for name in asked)
    unknown = [code for code in replies.MESSAGE_IDS if code.split("_")[0] not in text]
    assert unknown == []


@pytest.mark.parametrize("package", [integration, hooks, policies])
def test_our_generic_package_names_are_ours(package):
    """Another distribution with the same top-level name would shadow ours."""
    assert Path(package.__file__).is_relative_to(ROOT)
    owners = importlib.metadata.packages_distributions().get(package.__name__, [])
    assert set(owners) <= {"kleis"}


@pytest.mark.parametrize("model", [Settings, StackSettings])
def test_every_setting_is_described(model):
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small_and_say_what_they_are(path):
    text = path.read_text()
    assert text.count("\n") <= 270
    assert text.startswith('"""'), "a module begins with one sentence on what is in it"


def test_policies_read_no_clock():
    for path in (ROOT / "policies").glob("*.py"):
        assert ".now(" not in path.read_text(), path.name
        assert "today(" not in path.read_text(), path.name


def test_only_main_reads_settings_from_the_environment():
    """The launcher looks at what is not ours: PATH, and where the system keeps sockets."""
    for path in PYTHON:
        if path.name != "main.py" and path.parent.name != "launch":
            assert "os.environ" not in path.read_text(), path
