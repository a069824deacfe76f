"""The permits that may be asked for are those of the model that stand behind the gate."""

import re
from pathlib import Path

from policies.permission_questions import PERMITS, READING

MODEL = (Path(__file__).parents[2] / "keto" / "namespaces.keto.ts").read_text()
CODE = re.sub(r"//.*", "", MODEL)
_GATED = re.compile(r"(?:permits\.enter\(ctx\)|related\.active\.includes\(ctx\.subject\))")


def gated() -> dict[str, set[str]]:
    """Return the permits whose own text asks the gate, by namespace."""
    found: dict[str, set[str]] = {}
    for name, body in re.findall(r"class (\w+) implements Namespace \{\n(.*?)\n\}", CODE, re.S):
        for permit, text in re.findall(
            r"(\w+): \(ctx: Context\): boolean =>(.*?)(?=,\n|\n  \})", body, re.S
        ):
            if _GATED.search(text):
                found.setdefault(name, set()).add(permit)
    return found


def test_they_are_the_same():
    assert gated() == {name: set(permits) for name, permits in PERMITS.items()}


def test_what_counts_as_reading_is_a_permit():
    assert all(permit in PERMITS[namespace] for namespace, permit in READING)
