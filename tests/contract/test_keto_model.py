"""House rules of the permission model that Keto itself would not notice."""

import re

import pytest

from integration.keto_model import MODEL, read_model
from integration.launch.ory import NAMESPACES
from integration.ory import keto
from policies.authority import GATE, GUESTS, ROLE_RELATIONS
from policies.opl import parse
from policies.relation_model import MAX_NAME, SubjectType, Traverse, terms

SOURCE = MODEL.read_text()
CODE = re.sub(r"//.*", "", SOURCE)

HEAD = 'import { Namespace, SubjectSet, Context } from "@ory/keto-namespace-types"\n'
CLASSES = """
class User implements Namespace {}
class Room implements Namespace {
  related: {
    within: Room[]
    owners: User[]
    guests: User[]
    lights: Lamp[]
    crowd: (User | SubjectSet<Room, "owners">)[]
  }
  permits = {
    sit: (ctx: Context): boolean => this.related.owners.includes(ctx.subject),
    stay: (ctx: Context): boolean => %s,
  }
}
class Lamp implements Namespace {
  related: { owners: User[] }
  permits = { shine: (ctx: Context): boolean => this.related.owners.includes(ctx.subject), }
}
"""
OWNERS = "this.related.owners.includes(ctx.subject)"
GUEST = "this.related.guests.includes(ctx.subject)"
SIT = "this.permits.sit(ctx)"
UP = "this.related.within.traverse((r) => r.permits.stay(ctx))"


def parse_permit(text: str):
    return parse(HEAD + CLASSES % text)


def test_the_model_keeps_every_house_rule():
    read_model()


def test_every_protected_answer_passes_the_gate():
    """Whoever adds a permit says here that it needs no gate, and why."""
    model = read_model()
    next_to_a_gate = {
        "Platform": {"enter", "chiefs", "staff", "makers", "members"},
        "Channel": {"supervise", "overseen", "owned"},
        "Content": {"owned", "writers", "keepers", "readers"},
        "Profile": {"readers", "writers"},
        "Permission": {"holds"},
    }
    for namespace in model.namespaces.values():
        for name, expression in namespace.permits.items():
            gates = [
                term
                for term in terms(expression)
                if getattr(term, "permit", None) == "enter"
                and (namespace.name == "Platform" or term == Traverse("platform", "enter"))
            ]
            ungated = name in next_to_a_gate[namespace.name]
            assert bool(gates) is not ungated, f"{namespace.name}#{name}"


def test_no_traverse_ends_in_a_protected_permit_but_the_gate():
    """A chain asks the gate once, at its end, not at every step."""
    model = read_model()
    for namespace in model.namespaces.values():
        for name, expression in namespace.permits.items():
            for term in terms(expression):
                if isinstance(term, Traverse) and term.permit != "enter":
                    (target,) = model.namespaces[namespace.name].relations[term.relation].types
                    inner = model.namespaces[target.namespace].permits[term.permit]
                    assert Traverse("platform", "enter") not in list(terms(inner)), name


def test_nothing_is_ever_negated():
    """A negation allows when the database fails."""
    assert "!" not in CODE
    for text in (f"!{OWNERS}", f"{OWNERS} && !{GUEST}", f"!({OWNERS})"):
        with pytest.raises(ValueError, match="'!' has no place"):
            parse_permit(text)


@pytest.mark.parametrize("named", ["sit", "stay", "nothing"])
def test_subject_sets_name_relations_never_permits(named):
    """A tuple written on a permit's name would grant there."""
    source = HEAD + (CLASSES % OWNERS).replace('"owners"', f'"{named}"')

    with pytest.raises(ValueError, match="no relation"):
        parse(source)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{SIT} && {OWNERS}", "bare operand after &&"),
        (f"{OWNERS} && {SIT}", "bare operand after &&"),
        (f"{SIT} && ({OWNERS}) && {GUEST}", "bare operand after &&"),
        (f"{UP} && ({OWNERS} || {GUEST})", "in parentheses"),
        (f"({OWNERS} || {GUEST}) && {UP}", "begins an && with parentheses"),
        (f"{OWNERS} || ({GUEST} || {SIT})", "needless parentheses"),
        (f"{OWNERS} || ({GUEST} && {SIT})", "bare operand after &&"),
        (f"{OWNERS} || {GUEST} && {UP}", "parentheses where"),
        (f"{OWNERS} && {UP} || {GUEST}", "parentheses where"),
    ],
)
def test_what_costs_a_connection_or_a_level_of_depth_is_refused(text, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse_permit(text)


@pytest.mark.parametrize(
    "text",
    [
        OWNERS,
        f"{OWNERS} || {GUEST} || {SIT} || {UP}",
        f"{SIT} && ({OWNERS})",
        f"{SIT} && {UP}",
        f"{OWNERS} || ({SIT} && {UP})",
    ],
)
def test_what_the_rules_allow_is_read(text):
    assert "stay" in parse_permit(text).namespaces["Room"].permits


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("this.related.strangers.includes(ctx.subject)", "no relation"),
        ("this.related.within.includes(ctx.subject)", "includes the parent edge"),
        ("this.permits.fly(ctx)", "no permit"),
        ("this.permits.stay(ctx)", "asks itself"),
        ("this.related.owners.traverse((o) => o.permits.stay(ctx))", "no parent edge"),
        ("this.related.lights.traverse((l) => l.permits.stay(ctx))", "no permit there"),
        ("this.related.lights.traverse((l) => l.related.owners.includes(ctx.subject))", "permits"),
        ("this.related.within.traverse((r) => x.permits.stay(ctx))", "'x' where r belongs"),
        ("this.related.owners.includes(subject)", "'subject' where ctx"),
        (f"{OWNERS} {GUEST}", "where , belongs"),
        (f"{OWNERS} &&", "belongs"),
        ("true", "where this belongs"),
        ("", "where this belongs"),
    ],
)
def test_what_keto_would_take_for_something_else_is_an_error(text, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse_permit(text)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("class Lamp", "clas Lamp"), "where class belongs"),
        (("class Lamp", "class Room"), "Room is there twice"),
        (("guests: User[]", "owners: User[]"), "owners is there twice"),
        (("guests: User[]", "sit: User[]"), "sit is there twice"),
        (("guests: User[]", "guests: Ghost[]"), "no class"),
        (("guests: User[]", "guests: (User | Lamp)[]"), "mixes parent edges"),
        (("guests: User[]", "guests: User"), "where [ belongs"),
        (("guests: User[]", f"{'g' * (MAX_NAME + 1)}: User[]"), "longer than 64"),
        (("class User implements Namespace {}", "class User implements Namespace {"), "belongs"),
    ],
)
def test_a_slip_in_the_file_is_an_error_and_not_another_model(change, fault):
    text = f"{OWNERS} || {UP}"
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse(HEAD + (CLASSES % text).replace(*change))


def test_an_empty_file_is_no_error_but_has_no_namespaces():
    assert parse("").namespaces == {}


def test_the_six_namespaces_are_there_and_everybody_knows_them():
    assert set(read_model().namespaces) == {
        "User",
        "Platform",
        "Channel",
        "Content",
        "Profile",
        "Permission",
    }
    assert set(read_model().namespaces) == NAMESPACES == keto.NAMESPACES


def test_gate_and_roles_hold_plain_subjects_alone():
    platform = read_model().namespaces["Platform"]
    assert set(platform.relations) == {GATE, GUESTS, *ROLE_RELATIONS.values()}
    assert {each.types for each in platform.relations.values()} == {(SubjectType("User"),)}


def test_circles_can_only_be_closed_by_two_relations():
    model = read_model()
    circular = {
        (namespace.name, relation)
        for namespace in model.namespaces.values()
        for relation in namespace.relations
        if model.can_close_a_circle(namespace.name, relation)
    }
    assert circular == {("Channel", "within"), ("Permission", "covered")}
