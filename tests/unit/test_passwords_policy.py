"""Which passwords are accepted."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks import replies
from policies import passwords
from policies.decisions import Allow, Deny
from policies.passwords import PasswordHistory, PasswordOwner, PasswordProfile

SEED, NIST = PasswordProfile.SEED, PasswordProfile.NIST
COMMON = frozenset({"password", "password1!", "qwerty", "12345678", "dragon", "iloveyou"})
OWNER = PasswordOwner(
    email="Ada.Lovelace@example.test", username="ada-77", names=("Augusta Ada", "King", "")
)
GOOD = "Correct-Horse-1"
texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=90)


def codes(password, profile=SEED, owner=OWNER):
    decision = passwords.decide_password(password, profile, owner, COMMON)
    return {reason.code for reason in decision.reasons} if isinstance(decision, Deny) else set()


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        (GOOD, set()),
        ("Aa1!aaa", {"password_too_short"}),
        ("Aa1!aaaa", set()),
        ("correct-horse-1", {"password_without_upper"}),
        ("CORRECT-HORSE-1", {"password_without_lower"}),
        ("Correct-Horse-x", {"password_without_digit"}),
        ("CorrectHorse1", {"password_without_special"}),
        ("Correct Horse 1", {"password_without_special"}),
        ("Password1!", {"password_common"}),
        ("P@$$w0rd1!", {"password_common"}),
        ("!!Dragon1", {"password_common"}),
        ("My-Dragon-Hoard-1", set()),
        ("Xy1!ada-77", {"password_personal"}),
        ("Xy1!ADA.LOVELACE", {"password_personal"}),
        ("Xy1!Augusta", {"password_personal"}),
        ("Aa1!" + "x" * 68, set()),
        ("Aa1!" + "x" * 69, {"password_too_long"}),
        ("Aa1!" + "\u00e9" * 34, set()),
        ("Aa1!" + "\u00e9" * 35, {"password_too_long"}),
        (
            "",
            {
                "password_too_short",
                "password_without_upper",
                "password_without_lower",
                "password_without_digit",
                "password_without_special",
            },
        ),
    ],
)
def test_the_profile_seed_says_everything_at_once(password, expected):
    assert codes(password) == expected


@pytest.mark.parametrize(
    ("password", "second_factor", "expected"),
    [
        ("a" * 14, False, {"password_too_short"}),
        ("correct horse b", False, set()),
        ("corrhors", True, set()),
        ("corrhor", True, {"password_too_short"}),
        ("iloveyou", True, {"password_common"}),
        ("my ada-77 and more", False, {"password_personal"}),
        ("x" * 73, False, {"password_too_long"}),
    ],
)
def test_the_profile_nist_asks_for_length_and_no_kinds_of_characters(
    password, second_factor, expected
):
    owner = PasswordOwner("ada@example.test", "ada-77", has_second_factor=second_factor)
    assert codes(password, NIST, owner) == expected


@given(texts, st.sampled_from(PasswordProfile))
def test_every_reason_stands_at_the_password_says_what_to_do_and_has_a_number(password, profile):
    decision = passwords.decide_password(password, profile, OWNER, COMMON)
    for reason in getattr(decision, "reasons", ()):
        assert reason.pointer == "#/password"
        assert reason.code in replies.MESSAGE_IDS
        assert password not in reason.text or len(password) < 3
        assert reason.text.endswith(".")


@given(texts)
def test_what_is_accepted_keeps_every_rule_of_the_specification(password):
    if codes(password):
        return
    assert len(password) >= 8
    assert any(map(str.isupper, password))
    assert any(map(str.islower, password))
    assert any(map(str.isdigit, password))
    assert any(not (c.isalnum() or c.isspace()) for c in password)
    assert len(password.encode()) <= 72


@given(
    st.sampled_from(sorted(COMMON - {"12345678"})),
    st.text(string.digits + "!-.", max_size=4),
    st.data(),
)
def test_capitals_and_an_ending_make_no_common_password_rare(word, ending, data):
    mixed = "".join(data.draw(st.sampled_from((c.lower(), c.upper()))) for c in word)
    if len(ending) <= len(word):
        assert passwords.is_common(mixed + ending, COMMON)


@given(st.text(string.ascii_letters + string.digits, min_size=3, max_size=20), texts, texts)
def test_a_name_is_found_wherever_it_stands_and_however_it_is_written(name, before, after):
    owner = PasswordOwner(username=name)
    assert "password_personal" in codes(before + name.swapcase() + after, SEED, owner)


@given(texts)
def test_names_too_short_to_mean_anything_forbid_nothing(password):
    owner = PasswordOwner(email="ab@x", username="cd", names=("e f",))
    assert "password_personal" not in codes(password.replace("ab@x", ""), SEED, owner)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=12))
def test_a_history_keeps_the_newest_five_in_order(digests):
    history = PasswordHistory(b"salt")
    for digest in digests:
        history = history.with_new(digest)
    assert history.digests == tuple(reversed(digests))[:5]


def test_a_known_password_is_refused_and_a_new_one_is_not():
    assert passwords.decide_reuse(is_known=False) == Allow()
    [reason] = passwords.decide_reuse(is_known=True).reasons
    assert reason.code == "password_reused"


@pytest.mark.parametrize("score", range(5))
def test_strength_counts_from_three(score):
    assert isinstance(passwords.decide_strength(score), Allow) is (score >= 3)


def test_without_a_verdict_there_is_no_password():
    [reason] = passwords.decide_by_verdict(None).reasons
    assert reason.code == "password_unchecked"
    assert passwords.decide_by_verdict(()) == Allow()
    [reason] = passwords.decide_by_verdict([("password_common", "Everybody has it.")]).reasons
    assert (reason.code, reason.pointer) == ("password_common", "#/password")


@pytest.mark.parametrize("profile", PasswordProfile)
def test_the_hint_names_the_length(profile):
    assert ("8" if profile is SEED else "15") in passwords.hint(profile)
