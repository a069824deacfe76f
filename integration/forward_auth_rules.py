"""The file of rules for `/api/forward-auth`: YAML, read once, every error with its line."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.forward_auth import METHODS, Rule, captures, read_host, read_need, read_path

_MAX_BYTES = 1_000_000


class RulesError(Exception):
    """The file cannot be used; one line for each thing that is wrong."""


class _Written(BaseModel):
    """One rule as it is written."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=100)] = ""
    host: str | None = None
    path: str
    methods: Annotated[list[str], Field(min_length=1)] | None = None
    require: str


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a file, in their order.

    Raises:
        RulesError: names the file, and for each fault its line.
    """
    try:
        text = path.read_bytes()[: _MAX_BYTES + 1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(f"{path}: cannot be read ({type(error).__name__})") from error
    if len(text) > _MAX_BYTES:
        raise RulesError(f"{path}: longer than {_MAX_BYTES} bytes")
    try:
        nodes = _rule_nodes(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RulesError(f"{path}:{line}: {error.problem}") from error
    except _AtError as error:
        raise RulesError(f"{path}:{error.line}: {error}") from error
    rules, faults = [], []
    for at, node in enumerate(nodes, start=1):
        try:
            rules.append(_rule(node, at))
        except _AtError as error:
            faults.append(f"{path}:{error.line}: {error}")
    if faults:
        raise RulesError("\n".join(faults))
    return tuple(rules)


class _AtError(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def _rule_nodes(root: yaml.Node | None) -> list[yaml.MappingNode]:
    shape = "a file of rules is `rules:` with a list of rules"
    if not isinstance(root, yaml.MappingNode) or len(root.value) != 1:
        raise _AtError(1, shape)
    key, listed = root.value[0]
    if key.value != "rules" or not isinstance(listed, yaml.SequenceNode):
        raise _AtError(key.start_mark.line + 1, shape)
    for node in listed.value:
        if not isinstance(node, yaml.MappingNode):
            raise _AtError(node.start_mark.line + 1, "a rule has path and require")
    return list(listed.value)


def _rule(node: yaml.MappingNode, number: int) -> Rule:
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    first = node.start_mark.line + 1
    if len(lines) != len(node.value):
        raise _AtError(first, "a name stands twice in this rule")
    try:
        written = _Written.model_validate(_values(node))
    except ValidationError as error:
        # An unknown name first: it may be a missing one, misspelt.
        found = max(error.errors(), key=lambda each: each["type"] == "extra_forbidden")
        name = str(found["loc"][0]) if found["loc"] else "rule"
        raise _AtError(lines.get(name, first), f"{name}: {found['msg']}") from error
    try:
        field = "path"
        segments = read_path(written.path)
        field = "host"
        host = None if written.host is None else read_host(written.host)
        field = "methods"
        methods = None if written.methods is None else _methods(written.methods)
        field = "require"
        need = read_need(written.require, captures(segments))
    except ValueError as error:
        raise _AtError(lines[field], f"{field}: {error}") from error
    return Rule(written.name or f"rule {number}", host, segments, methods, need)


def _values(node: yaml.MappingNode) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_mapping(node, deep=True)
    except yaml.MarkedYAMLError as error:
        raise _AtError(node.start_mark.line + 1, str(error.problem)) from error
    finally:
        loader.dispose()


def _methods(names: list[str]) -> frozenset[str]:
    methods = frozenset(name.upper() for name in names)
    if not methods <= METHODS:
        raise ValueError(f"methods are {', '.join(sorted(METHODS))}")
    return methods
