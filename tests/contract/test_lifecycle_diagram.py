"""The picture of a member's life shows every arrow there is, and no other."""

import re
from pathlib import Path

from policies.lifecycle import TRANSITIONS, Trigger

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
_ARROW = re.compile(r"^    (\S+) --> (\S+): (\S+)$", re.MULTILINE)


def test_the_diagram_is_the_table():
    drawn = _ARROW.findall(ARCHITECTURE.read_text())
    decided = [
        (arrow.source or "[*]", arrow.target, arrow.trigger)
        for arrow in TRANSITIONS
        if arrow.trigger is not Trigger.ADMIN_DELETION  # a sentence says it: from every state
    ]
    assert sorted(drawn) == sorted(decided)
