"""Reads the subset of the Ory Permission Language that our model is written in, and no more.

Strict where Keto's own parser is not: it takes a forgotten operator for an "or", drops a misspelt
class without a word, and reads `a || b && c` from the left (v0.13, running). Here each of
these is an error, and so is every negation: it allows when a database fails.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from policies.relation_model import (
    AllOf,
    AnyOf,
    Expression,
    Group,
    Includes,
    Namespace,
    Permitted,
    Relation,
    RelationModel,
    SubjectType,
    Traverse,
    faults,
)

_TOKEN = re.compile(
    r"\s+|//[^\n]*|/\*.*?\*/"
    r'|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>"[^"\n]*")|(?P<sign>&&|\|\||=>|[{}()\[\]<>,.:|=])',
    re.DOTALL,
)
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


def parse(source: str) -> RelationModel:
    """Return the model that a file describes.

    Raises:
        ValueError: it says something else than this subset can, or breaks a house rule.
    """
    model = RelationModel(_Parser(_tokens(source)).file())
    if found := faults(model):
        raise ValueError("; ".join(found))
    return model


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, line = 0, 1
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            raise ValueError(f"line {line}: {source[position]!r} has no place in the model")
        if found.lastgroup is not None:
            tokens.append(_Token(found[0], line))
        line += found[0].count("\n")
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def file(self) -> dict[str, Namespace]:
        while self._sees("import"):
            self._import()
        namespaces: dict[str, Namespace] = {}
        while self._at < len(self._tokens):
            self._add(namespaces, *self._class())
        return namespaces

    def _import(self) -> None:
        self._expect("import", "{")
        self._name()
        while self._takes(","):
            self._name()
        self._expect("}", "from")
        self._text()

    def _class(self) -> tuple[str, Namespace]:
        self._expect("class")
        name = self._name()
        self._expect("implements", "Namespace", "{")
        relations: dict[str, Relation] = {}
        permits: dict[str, Expression] = {}
        if self._takes("related"):
            self._expect(":")
            self._braced(lambda: self._add(relations, *self._relation()))
        if self._takes("permits"):
            self._expect("=")
            self._braced(lambda: self._add(permits, *self._permit(), but_not=relations))
        self._expect("}")
        return name, Namespace(name, relations, permits)

    def _relation(self) -> tuple[str, Relation]:
        name = self._name()
        self._expect(":")
        types = self._bracketed_types() if self._takes("(") else [self._type()]
        self._expect("[", "]")
        return name, Relation(name, tuple(types))

    def _bracketed_types(self) -> list[SubjectType]:
        types = [self._type()]
        while self._takes("|"):
            types.append(self._type())
        self._expect(")")
        return types

    def _type(self) -> SubjectType:
        name = self._name()
        if name != "SubjectSet":
            return SubjectType(name)
        self._expect("<")
        namespace = self._name()
        self._expect(",")
        relation = self._text()
        self._expect(">")
        return SubjectType(namespace, relation)

    def _permit(self) -> tuple[str, Expression]:
        name = self._name()
        self._expect(":", "(", "ctx", ":", "Context", ")")
        if self._takes(":"):
            self._expect("boolean")
        self._expect("=>")
        expression = self._expression()
        self._expect(",")
        return name, expression

    def _expression(self) -> Expression:
        operands = [self._operand()]
        sign = self._peek()
        if sign not in ("&&", "||"):
            return operands[0]
        while self._takes(sign):
            operands.append(self._operand())
        if self._peek() in ("&&", "||"):
            raise self._wrong("parentheses where && and || meet")
        return AllOf(tuple(operands)) if sign == "&&" else AnyOf(tuple(operands))

    def _operand(self) -> Expression:
        if self._takes("("):
            inner = self._expression()
            self._expect(")")
            return Group(inner)
        self._expect("this", ".")
        if self._takes("permits"):
            return Permitted(self._called_permit())
        self._expect("related", ".")
        relation = self._name()
        self._expect(".")
        if self._takes("includes"):
            self._expect("(", "ctx", ".", "subject", ")")
            return Includes(relation)
        self._expect("traverse", "(", "(")
        variable = self._name()
        self._expect(")", "=>", variable, ".", "permits")
        permit = self._called_permit()
        self._expect(")")
        return Traverse(relation, permit)

    def _called_permit(self) -> str:
        self._expect(".")
        name = self._name()
        self._expect("(", "ctx", ")")
        return name

    def _braced(self, read_one: Callable[[], None]) -> None:
        self._expect("{")
        while not self._takes("}"):
            read_one()

    def _add(
        self,
        known: dict[str, _Made],
        name: str,
        made: _Made,
        *,
        but_not: dict[str, Relation] | None = None,
    ) -> None:
        if name in known or name in (but_not or {}):
            raise ValueError(f"line {self._tokens[self._at - 1].line}: {name} is there twice")
        known[name] = made

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _sees(self, text: str) -> bool:
        return self._peek() == text

    def _takes(self, text: str) -> bool:
        if not self._sees(text):
            return False
        self._at += 1
        return True

    def _expect(self, *texts: str) -> None:
        for text in texts:
            if not self._takes(text):
                raise self._wrong(text)

    def _name(self) -> str:
        name = self._peek()
        if not name.isidentifier():
            raise self._wrong("a name")
        self._at += 1
        return name

    def _text(self) -> str:
        text = self._peek()
        if not text.startswith('"'):
            raise self._wrong("a name in quotes")
        self._at += 1
        return text[1:-1]

    def _wrong(self, wanted: str) -> ValueError:
        last = self._tokens[min(self._at, len(self._tokens) - 1)].line if self._tokens else 1
        return ValueError(f"line {last}: {self._peek()!r} where {wanted} belongs")
