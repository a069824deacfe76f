"""From the nodes of a Kratos flow to forms that need no JavaScript: pure, facts in, view out.

Kratos sends one flat list of nodes in *groups*, one a method (`password`, `totp`, ...), and a
`default` group that they share. Each method becomes forms of its own, so that a browser never
sends half of another method along. Unknown nodes are skipped, never fatal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from integration.ory.kratos_flows import Message, Node, Ui
from integration.web import words
from integration.web.exhibits import exhibit_of
from integration.web.inputs import is_button, is_field, is_hidden, name_of, text_of, to_field
from integration.web.views import (
    Button,
    Complaint,
    Exhibit,
    Field,
    Form,
    FormsView,
    Link,
    Notice,
    Section,
)

_COMMON = "default"
# WebAuthn and passkeys exist only as scripts.
_NEED_SCRIPTS = frozenset({"webauthn", "passkey"})
# Their submits carry nothing of the shared fields; a `required` one would only be in the way.
_STAND_ALONE = frozenset({"oidc", "saml", "totp", "lookup_secret"})
_ORDER = ("default", "profile", "identifier_first", "password", "totp", "code", "lookup_secret")
# These buttons send the fields beside them; every other button acts on its own.
_SENDS_FIELDS = frozenset({"method", "provider"})
# Backup codes are of no use until they are confirmed.
_KEEPS_CODES = "lookup_secret_confirm"
# Kept by us while a new address waits for its confirmation. Nobody types it.
_PENDING_EMAIL = "traits.pending_email"
_OURS = frozenset({_PENDING_EMAIL})
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Wishes:
    """How the page at hand differs from what Kratos and `words` would show."""

    prefill: Mapping[str, str]
    submit_label: str | None
    labels: Mapping[str, str]
    hints: Mapping[str, str]


def arrange(
    ui: Ui,
    *,
    prefill: Mapping[str, str] = _NOTHING,
    submit_label: str | None = None,
    labels: Mapping[str, str] = _NOTHING,
    hints: Mapping[str, str] = _NOTHING,
    first: str | None = None,
) -> FormsView:
    """Arrange a flow's nodes as sections of forms.

    Args:
        prefill: Values for fields that Kratos left empty, by name.
        submit_label: What the buttons that send fields say, instead of Kratos' words.
        labels: What fields are called here, by name, instead of what `words` call them.
        hints: Sentences of help that settings decide, by what browsers fill in.
        first: The group that comes before all others.
    """
    wishes = _Wishes(prefill, submit_label, labels, hints)
    messages = ui.messages or []
    nodes = [node for node in ui.nodes or [] if node.group not in _NEED_SCRIPTS]
    sections = tuple(
        section for group in _groups(nodes, first) if (section := _section(group, nodes, wishes))
    )
    return FormsView(
        action=ui.action,
        method="get" if ui.method.upper() == "GET" else "post",
        sections=sections,
        notices=tuple(
            Notice(words.sentence(message), message.type)
            for message in messages
            if message.type != "error"
        ),
        complaints=(*_general(messages), *_of_fields(nodes, sections)),
    )


def _groups(nodes: Sequence[Node], first: str | None) -> list[str]:
    """Return the groups that become sections: those that somebody can do something with."""
    groups = dict.fromkeys(node.group for node in nodes if node.group != _COMMON or is_button(node))
    known = {group: rank for rank, group in enumerate(_ORDER)}
    if first is not None:
        known[first] = -1
    return sorted(groups, key=lambda group: known.get(group, len(known)))


def _section(group: str, nodes: Sequence[Node], wishes: _Wishes) -> Section | None:
    own = [node for node in nodes if node.group == group]
    shares = group != _COMMON and group not in _STAND_ALONE
    shared = [node for node in nodes if node.group == _COMMON] if shares else []
    fields = sorted(
        (
            to_field(
                node, group=group, prefill=wishes.prefill, labels=wishes.labels, hints=wishes.hints
            )
            for node in (*shared, *own)
            if is_field(node) and name_of(node) not in _OURS
        ),
        key=lambda field: words.rank(field.name),
    )
    hidden = dict(_hidden_of(node for node in nodes if node.group in {_COMMON, group}))
    buttons = [_to_button(node, wishes.submit_label) for node in own if is_button(node)]
    forms = tuple(_forms(group, hidden, tuple(fields), buttons))
    exhibits = tuple(_exhibits(own))
    if not forms and not exhibits:
        return None
    waiting = hidden.get(_PENDING_EMAIL, "") if group == "profile" else ""
    if waiting and not any(field.errors for field in fields):
        forms = (*forms, _withdrawal(group, hidden, fields, buttons))
        exhibits = (*exhibits, Link("/verification", words.ENTER_CODE))
    return Section(
        group=group,
        title=words.section(group),
        lead=words.waiting(waiting) if waiting else words.lead(group),
        exhibits=exhibits,
        forms=forms,
    )


def _forms(
    group: str, hidden: Mapping[str, str], fields: tuple[Field, ...], buttons: Sequence[Button]
) -> Iterator[Form]:
    if not fields:
        if buttons:
            yield _form(group, hidden, (), tuple(buttons))
        return
    sending = tuple(button for button in buttons if button.name in _SENDS_FIELDS)
    if sending:
        yield _form(group, hidden, fields, sending)
    for button in buttons:
        if button.name not in _SENDS_FIELDS:
            yield _form(group, hidden, (), (button,))


def _withdrawal(
    group: str, hidden: Mapping[str, str], fields: Sequence[Field], buttons: Sequence[Button]
) -> Form:
    """Make the form that forgets the address that waits: all traits as they are, without it."""
    kept = {name: value for name, value in hidden.items() if name != _PENDING_EMAIL}
    kept |= {field.name: field.value for field in fields if field.value}
    cancel = tuple(
        replace(button, label=words.CANCEL_CHANGE, is_primary=False)
        for button in buttons
        if button.name == "method"
    )
    return _form(group, kept, (), cancel)


def _form(
    group: str,
    hidden: Mapping[str, str],
    fields: tuple[Field, ...],
    buttons: tuple[Button, ...],
) -> Form:
    """Make one form. No name is sent twice: the edge refuses doubled fields."""
    taken = {button.name for button in buttons} | {field.name for field in fields}
    return Form(
        group=group,
        hidden=tuple((name, value) for name, value in hidden.items() if name not in taken),
        fields=fields,
        buttons=buttons,
    )


def _hidden_of(nodes: Iterable[Node]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        value = text_of(node, "value")
        if is_hidden(node) or (is_field(node) and name_of(node) in _OURS and value):
            yield name_of(node), value


def _to_button(node: Node, submit_label: str | None) -> Button:
    name = name_of(node)
    sends = name == "method"
    label = submit_label if sends and submit_label else words.button(node.meta.label, node.group)
    return Button(
        name=name,
        value=text_of(node, "value"),
        label=label,
        is_primary=sends or name == _KEEPS_CODES,
    )


def _exhibits(nodes: Iterable[Node]) -> Iterator[Exhibit]:
    for node in nodes:
        exhibit = exhibit_of(node)
        if exhibit is not None:
            yield exhibit


def _general(messages: Iterable[Message]) -> Iterator[Complaint]:
    for message in messages:
        if message.type == "error":
            yield Complaint(text=words.sentence(message), target=None)


def _of_fields(nodes: Sequence[Node], sections: Sequence[Section]) -> Iterator[Complaint]:
    """Name what is wrong with which field; what has no field on the page is not swallowed."""
    shown: set[str] = set()
    for field in (field for s in sections for form in s.forms for field in form.fields):
        if field.name not in shown:
            shown.add(field.name)
            for text in field.errors:
                yield Complaint(text=text, target=field.id, label=field.label)
    for node in nodes:
        if name_of(node) not in shown:
            for message in node.messages or ():
                if message.type == "error":
                    yield Complaint(text=words.sentence(message), target=None)
