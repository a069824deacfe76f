"""What the import contract cannot see: a clock or chance reached through an allowed module."""

import ast
from pathlib import Path

import policies

MODULES = sorted(Path(policies.__file__).parent.glob("*.py"))
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "getenv"}


def names_called(module: Path) -> set[str]:
    return {
        call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute | ast.Name)
    }


def test_no_policy_reads_a_clock_draws_lots_or_opens_a_file() -> None:
    found = {module.name: names_called(module) & IMPURE_CALLS for module in MODULES}

    assert {name: calls for name, calls in found.items() if calls} == {}
    assert len(MODULES) > 10
