"""Which usernames may be taken."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.reserved_usernames import RESERVED_NAMES, STAFF_NAMES
from policies.usernames import looks_like_staff, normal_form, refuse_username, skeleton

ALLOWED = string.ascii_letters + string.digits + "_-"
# How somebody may write a letter so that it passes for another.
DISGUISES = {
    "o": "o0O",
    "l": "l1iI",
    "i": "i1lI",
    "e": "e3E",
    "a": "a4A",
    "s": "s5S",
    "t": "t7T",
    "g": "g69G",
    "b": "b8B",
}
WIDE_DISGUISES = {"m": ["m", "rn", "RN", "r_n"], "w": ["w", "vv"], "d": ["d", "cl", "c1"]}


def code_of(username: str, reserved: frozenset[str] = frozenset()) -> str | None:
    reason = refuse_username(username, reserved)
    if reason is None:
        return None
    assert reason.pointer == "#/traits/username"
    assert reason.text
    return reason.code


@st.composite
def disguised(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(STAFF_NAMES)))
    letters = (
        draw(st.sampled_from(WIDE_DISGUISES.get(letter) or list(DISGUISES.get(letter, letter))))
        for letter in name
    )
    return "".join(letters) + draw(st.sampled_from(["", "_", "-", "1", "_2024"]))


@pytest.mark.parametrize(
    "username",
    [
        "ada",
        "Ada_Lovelace-1815",
        "x" * 30,
        "administrative",
        "modesty",
        "rooted",
        "supporter",
        "007",
        "25973e96-2efe-51f1-9603-b9cee8",
        "___",
        "theo-morn",
    ],
)
def test_ordinary_names_may_be_taken(username: str) -> None:
    assert code_of(username) is None


@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("", "username_too_short"),
        ("ab", "username_too_short"),
        ("x" * 31, "username_too_long"),
        ("x" * 1_000_000, "username_too_long"),
        ("ada lovelace", "username_characters"),
        ("ada@example.com", "username_characters"),
        ("ada.lovelace", "username_characters"),
        ("ada\n", "username_characters"),
        ("ada\x00", "username_characters"),
        ("../..", "username_characters"),
        ("<b>ada</b>", "username_characters"),
        ("аdmin", "username_characters"),  # noqa: RUF001
        ("ａｄｍｉｎ", "username_characters"),  # noqa: RUF001
        ("éa", "username_characters"),
        ("ada\u200b", "username_characters"),
        ("１２３", "username_characters"),  # noqa: RUF001
        ("admin", "username_reserved"),
        ("ADMIN", "username_reserved"),
        ("_ad-min_", "username_reserved"),
        ("no-reply", "username_reserved"),
        ("Postmaster", "username_reserved"),
        ("undefined", "username_reserved"),
        ("relation-tuples", "username_reserved"),
        ("adm1n", "username_lookalike"),
        ("4dmin", "username_lookalike"),
        ("adrnin", "username_lookalike"),
        ("aclmin", "username_lookalike"),
        ("rnoderator", "username_lookalike"),
        ("M0DERAT0R", "username_lookalike"),
        ("5upport", "username_lookalike"),
        ("r00t", "username_lookalike"),
        ("k1eis", "username_lookalike"),
        ("admin1", "username_lookalike"),
        ("support_24", "username_lookalike"),
    ],
)
def test_each_refusal_has_its_own_code(username: str, code: str) -> None:
    assert code_of(username) == code


def test_other_alphabets_are_refused_in_words_that_say_why() -> None:
    reason = refuse_username("аdmin")  # noqa: RUF001

    assert reason is not None
    assert "other alphabets" in reason.text


def test_an_operator_keeps_names_back_however_they_are_written() -> None:
    reserved = frozenset({"Acme-Corp"})

    assert code_of("acme_corp", reserved) == "username_reserved"
    assert code_of("acmecorps", reserved) is None


@given(disguised())
def test_no_disguise_of_a_staff_name_passes(username: str) -> None:
    assert looks_like_staff(username)
    assert code_of(username) is not None


@given(st.sampled_from(sorted(RESERVED_NAMES)))
def test_no_reserved_name_passes_in_any_case(name: str) -> None:
    assert code_of(name.upper()) is not None


@given(st.text())
def test_what_passes_is_short_and_plain(username: str) -> None:
    if refuse_username(username) is None:
        assert 3 <= len(username) <= 30
        assert set(username) <= set(ALLOWED)


@given(st.text(alphabet=ALLOWED, min_size=3, max_size=30))
def test_case_and_separators_change_no_verdict_on_a_name(username: str) -> None:
    assert looks_like_staff(username) == looks_like_staff(normal_form(username))
    assert skeleton(username) == skeleton(username.swapcase())


def test_reserved_names_are_written_in_their_normal_form() -> None:
    assert all(name == normal_form(name) and name.isascii() for name in RESERVED_NAMES)
