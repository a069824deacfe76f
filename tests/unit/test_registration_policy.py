"""Who may open an account, and what a member starts with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import Role
from policies.decisions import Allow, Decision, Deny
from policies.registration import (
    RegistrationAttempt,
    RegistrationRules,
    decide_change_of_traits,
    decide_registration,
    new_member,
)

ADA = RegistrationAttempt("Ada@Example.com", "ada_l", "Ada", "Lovelace", "Ada L.")
RULES = RegistrationRules(
    blocked_emails=frozenset({"mallory@example.com"}),
    blocked_email_domains=frozenset({"blocked.example"}),
    disposable_email_domains=frozenset({"throwaway.example"}),
    reserved_usernames=frozenset({"acme"}),
)
ATTEMPTS = st.builds(
    RegistrationAttempt,
    email=st.emails() | st.text(max_size=300),
    username=st.text(max_size=40) | st.sampled_from(["admin", "ada"]),
    first_name=st.text(max_size=120),
    last_name=st.text(max_size=120),
    display_name=st.text(max_size=60),
    pending_email=st.just("") | st.emails(),
)


def found(decision: Decision) -> dict[str, str]:
    if isinstance(decision, Allow):
        return {}
    return {reason.pointer or "": reason.code for reason in decision.reasons}


def test_an_ordinary_registration_is_allowed() -> None:
    assert decide_registration(ADA, RULES) == Allow()


def test_names_may_be_left_out() -> None:
    assert decide_registration(RegistrationAttempt("ada@example.com", "ada"), RULES) == Allow()


def test_all_faults_are_told_at_once_each_at_its_field() -> None:
    attempt = RegistrationAttempt("ada", "ad", "A\x00", "L\u202e", "<Ada>")

    assert found(decide_registration(attempt, RULES)) == {
        "#/traits/email": "email_format",
        "#/traits/username": "username_too_short",
        "#/traits/first_name": "first_name_characters",
        "#/traits/last_name": "last_name_characters",
        "#/traits/display_name": "display_name_characters",
    }


@pytest.mark.parametrize(
    ("trait", "value", "code"),
    [
        ("email", "mallory+1@example.com", "email_blocked"),
        ("email", "ada@mx.blocked.example", "email_domain_blocked"),
        ("email", "ada@throwaway.example", "email_disposable"),
        ("username", "AC-ME", "username_reserved"),
        ("first_name", "A" * 101, "first_name_too_long"),
        ("first_name", "Ada\nBcc: x", "first_name_characters"),
        ("last_name", "L" * 101, "last_name_too_long"),
        ("last_name", "L\u2028", "last_name_characters"),
        ("last_name", "\ud800", "last_name_characters"),
        ("display_name", "A" * 51, "display_name_length"),
        ("display_name", "Ada\tL", "display_name_characters"),
        ("display_name", "Ada\n", "display_name_characters"),
        ("display_name", "Äda", "display_name_characters"),
    ],
)
def test_one_fault_is_told_alone(trait: str, value: str, code: str) -> None:
    decision = decide_registration(replace(ADA, **{trait: value}), RULES)

    assert found(decision) == {f"#/traits/{trait}": code}


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("first_name", "A" * 100),
        ("first_name", "Zoë-Chloé O'Neill"),
        ("last_name", "علی\u200cپور"),
        ("last_name", "李"),
        ("display_name", "A" * 50),
        ("display_name", "Ada_L-1. x"),
        ("display_name", "   "),
    ],
)
def test_names_of_people_are_taken_as_they_are(trait: str, value: str) -> None:
    assert decide_registration(replace(ADA, **{trait: value}), RULES) == Allow()


@given(ATTEMPTS)
def test_every_refusal_names_a_field_of_the_form_once(attempt: RegistrationAttempt) -> None:
    decision = decide_registration(attempt, RULES)

    if isinstance(decision, Deny):
        pointers = [reason.pointer for reason in decision.reasons]
        assert len(pointers) == len(set(pointers))
        assert all(pointer and pointer.startswith("#/traits/") for pointer in pointers)


@given(ATTEMPTS)
def test_no_refusal_repeats_what_was_typed(attempt: RegistrationAttempt) -> None:
    marked = replace(attempt, username=f"{attempt.username}\x00qzx", email="qzx\x00")

    decision = decide_registration(marked, RULES)

    assert isinstance(decision, Deny)
    assert not any("qzx" in reason.text for reason in decision.reasons)


@given(ATTEMPTS)
def test_a_member_who_changes_nothing_is_not_judged_again(attempt: RegistrationAttempt) -> None:
    assert decide_change_of_traits(attempt, attempt, RULES) == Allow()


@given(ATTEMPTS, ATTEMPTS)
def test_a_change_is_judged_as_a_registration_is(
    before: RegistrationAttempt, after: RegistrationAttempt
) -> None:
    change = found(decide_change_of_traits(before, after, RULES))
    registration = found(decide_registration(after, RULES))

    if change.get("#/traits/email") == "email_change":
        assert before.email.lower() != after.email.lower()
        del change["#/traits/email"]
    assert change.items() <= registration.items()
    for pointer in registration.keys() - change.keys():
        trait = pointer.rpartition("/")[2]
        assert getattr(before, trait) == getattr(after, trait)


def test_a_new_address_is_judged_like_that_of_a_registration() -> None:
    assert decide_change_of_traits(ADA, replace(ADA, email="eve@example.com"), RULES) == Allow()
    assert found(decide_change_of_traits(ADA, replace(ADA, email="eve"), RULES)) == {
        "#/traits/email": "email_format"
    }


def test_another_spelling_of_the_same_address_is_no_change() -> None:
    assert decide_change_of_traits(ADA, replace(ADA, email="ada@example.com"), RULES) == Allow()


def test_an_address_that_waits_for_its_proof_is_not_set_by_hand() -> None:
    asked = replace(ADA, pending_email="eve@example.com")

    for decision in (
        decide_registration(asked, RULES),
        decide_change_of_traits(ADA, asked, RULES),
    ):
        assert found(decision) == {"#/traits/pending_email": "pending_email"}
    assert decide_change_of_traits(asked, asked, RULES) == Allow()
    assert decide_change_of_traits(asked, ADA, RULES) == Allow()


def test_an_old_name_that_is_reserved_by_now_may_stay() -> None:
    before = replace(ADA, username="acme")
    after = replace(before, display_name="<Ada>")

    assert found(decide_change_of_traits(before, after, RULES)) == {
        "#/traits/display_name": "display_name_characters"
    }


def test_a_new_member_starts_with_the_specified_defaults() -> None:
    member = new_member(ADA)

    assert (member.email, member.username) == ("ada@example.com", "ada_l")
    assert (member.first_name, member.last_name) == ("Ada", "Lovelace")
    assert member.display_name == "Ada L."
    assert member.role is Role.USER
    assert member.bio == ""
    assert member.is_public is True
    assert member.notifications == {"email": True, "push": False, "sms": False}
    assert member.privacy == {
        "show_email": False,
        "show_activity": True,
        "allow_messages": True,
    }


@pytest.mark.parametrize("display_name", ["", "   "])
def test_without_a_display_name_the_username_is_shown(display_name: str) -> None:
    assert new_member(replace(ADA, display_name=display_name)).display_name == "ada_l"
