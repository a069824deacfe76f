"""What the templates are given: frozen, complete, nothing left to decide but its markup."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Field:
    """One labelled input.

    Attributes:
        id: Unique on the page.
        hint: A sentence of help under the label, or empty.
        pattern: Regular expression that browsers understand alike, or None.
        errors: What is wrong with the value, one sentence each.
    """

    id: str
    name: str
    type: str
    label: str
    value: str = ""
    hint: str = ""
    required: bool = False
    disabled: bool = False
    checked: bool = False
    autocomplete: str | None = None
    inputmode: str | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    errors: tuple[str, ...] = ()

    @property
    def described_by(self) -> str:
        """Ids of the texts that belong to the input, for `aria-describedby`."""
        parts = (
            f"{self.id}-error" if self.errors else "",
            f"{self.id}-hint" if self.hint else "",
        )
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Button:
    """One way to send a form. The primary one is what most people want."""

    name: str
    value: str
    label: str
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    group: str
    hidden: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    source: str
    label: str
    width: int
    height: int
    kind: str = "picture"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Texts to copy by hand: the authenticator's key, or backup codes."""

    label: str
    items: tuple[str, ...]
    kind: str = "secrets"


@dataclass(frozen=True, slots=True)
class Link:
    target: str
    label: str
    kind: str = "link"


Exhibit: TypeAlias = Picture | Secrets | Link


@dataclass(frozen=True, slots=True)
class Section:
    """Everything of one method. `lead` says what it is for, or is empty."""

    group: str
    title: str
    lead: str
    exhibits: tuple[Exhibit, ...]
    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence on top of the page; `kind` is `info` or `success`."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """One line of the error summary.

    Attributes:
        target: Id of the input at fault, or None.
        label: That input's label.
    """

    text: str
    target: str | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class FormsView:
    """A flow, ready for its template."""

    action: str
    method: str
    sections: tuple[Section, ...]
    notices: tuple[Notice, ...]
    complaints: tuple[Complaint, ...]
