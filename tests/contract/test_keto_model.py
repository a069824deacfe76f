"""House rules of the permission model that Keto itself would not notice."""

import re
from pathlib import Path

MODEL = (Path(__file__).parents[2] / "keto" / "namespaces.keto.ts").read_text()
CODE = re.sub(r"//.*", "", MODEL)


def test_nothing_is_ever_negated():
    """A negation allows when the database fails."""
    assert "!" not in CODE


def test_subject_sets_name_relations_never_permits():
    """A tuple written on a permit's name would grant there."""
    permits = set(re.findall(r"(\w+): \(ctx: Context\)", CODE))
    named = set(re.findall(r'SubjectSet<\w+, "(\w+)">', CODE))
    assert named
    assert not named & permits


def test_what_follows_an_and_waits_its_turn():
    """Bare, it is asked even when not needed, and costs a database connection."""
    following = re.findall(r"&&\s*(\S+)", CODE)
    assert following
    assert all(word.startswith(("(", "this.related.")) for word in following)
    assert "&& this.permits" not in re.sub(r"\s+", " ", CODE)
    assert "includes" not in " ".join(word for word in following if not word.startswith("("))


def test_the_six_namespaces_are_there():
    assert set(re.findall(r"class (\w+) implements Namespace", CODE)) == {
        "User",
        "Platform",
        "Channel",
        "Content",
        "Profile",
        "Permission",
    }
