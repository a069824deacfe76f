"""Whatever bytes come as a self-service body: what the edge read is what Kratos reads, or it is
refused. Kratos is played by a small model of Go's readers, as lenient as Go is.
"""

import json
import re
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from hypothesis import example, given, settings
from hypothesis import strategies as st

from integration.edge.flows.submits import read_fields
from integration.edge.problems import RefusedError

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
NAMES = ("password", "Password", "PASSWORD", "pa\u017f\u017fword", "method", "x")

texts = st.text(max_size=8)
names = st.sampled_from(NAMES) | texts
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(names, inner), max_size=3),
    max_leaves=6,
)


def spelt(value: Any) -> str:
    """Return JSON in which a list of pairs is an object, repeated names and all."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        pairs = (f"{json.dumps(name)}:{spelt(item)}" for name, item in value)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spelt(item) for item in value) + "]"
    return json.dumps(value)


objects = st.lists(st.tuples(names, values), min_size=1, max_size=4).map(spelt)
forms = st.lists(st.tuples(names, texts), max_size=4).map(
    lambda pairs: "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
)
damage = st.tuples(st.integers(min_value=0), st.binary(max_size=3))


def _quoted(text: str) -> str:
    return quote_plus(text, errors="replace")


def damaged(body: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    for at, put in cuts:
        place = at % (len(body) + 1)
        body = body[:place] + put + body[place + len(put) // 2 :]
    return body


def go_password_in_json(body: bytes) -> Any:
    """Read `password` as Go's `encoding/json`: any case, with Unicode folding; the last wins;
    bytes that are no UTF-8 become U+FFFD; what follows the first document is not looked at."""
    found: list[Any] = []

    def pairs_of(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [("", dict(pairs)), *pairs]

    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    document, _ = json.JSONDecoder(object_pairs_hook=pairs_of).raw_decode(text)
    found = [value for name, value in document[1:] if _folds_to_password(name)]
    return _go_text(found[-1]) if found else None


def _folds_to_password(name: str) -> bool:
    return name.replace("\u017f", "s").replace("\u212a", "k").lower() == "password"


def go_password_in_form(body: bytes) -> str | None:
    """Read `password` as Go's `net/url`: pairs with a semicolon or a broken escape are left
    out, the first wins."""
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        if b";" in pair or re.search(rb"%(?![0-9A-Fa-f]{2})", pair):
            continue
        if unquote_to_bytes(name.replace(b"+", b" ")) == b"password":
            return unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8", "replace")
    return None


def read(kind: bytes, body: bytes) -> Any:
    """Return the password that the edge read, or that it refused."""
    try:
        return read_fields([(b"content-type", kind)], body).get("password")
    except RefusedError:
        return RefusedError


@given(objects, st.lists(damage, max_size=3))
@example('{"password":"a","password":"b"}', [])
@example('{"password":"a","PASSWORD":"b"}', [])
@example('{"password":"a","pa\u017f\u017fword":"b"}', [])
@example('{"password":"a"} {"password":"b"}', [])
@example('{"password":"\\ud800"}', [])
@example('{"password":"\\ud83d\\ude00"}', [])
@settings(max_examples=600, deadline=None)
def test_the_password_of_a_json_body_is_the_one_go_reads_or_it_is_refused(text, cuts):
    body = damaged(text.encode("utf-8", "surrogatepass"), cuts)

    ours = read(JSON, body)

    if ours is not RefusedError:
        assert _as_text(ours) == _as_text(go_password_in_json(body))


@given(forms, st.lists(damage, max_size=3))
@example("password=a&password=b", [])
@example("password=a;password=b", [])
@example("password=%zz&password=b", [])
@example("pass%77ord=a&password=b", [])
@settings(max_examples=600, deadline=None)
def test_the_password_of_a_form_is_the_one_go_reads_or_it_is_refused(text, cuts):
    body = damaged(text.encode(), cuts)

    ours = read(FORM, body)

    if ours is not RefusedError:
        assert ours == go_password_in_form(body)


@given(st.binary(max_size=64), st.sampled_from([JSON, FORM, b"text/plain", b"application/json, x"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused_and_nothing_else(body, kind):
    read(kind, body)


def _as_text(value: Any) -> str | None:
    """Of anything but a text Kratos makes no password."""
    return value if isinstance(value, str) else None


def _go_text(value: Any) -> Any:
    """Go has no half characters: it writes U+FFFD for each."""
    return re.sub("[\ud800-\udfff]", "\ufffd", value) if isinstance(value, str) else value
