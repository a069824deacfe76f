"""Bodies that two readers may read in two ways, made by Hypothesis around a good password."""

import gzip
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
# None of these is ever acceptable.
QUOTING = (quote_plus, quote, quote_plus)
BAD = ("password", "Password1!", "short-1A", "no-capital-letters-1", "Aa1-" + "x" * 80)
NAMES = (
    "password",
    "Password",
    "PASSWORD",
    "pa\u017f\u017fword",
    "password ",
    "\ufeffpassword",
    "password\0",
    "password[]",
    "password[0]",
    "traits.password",
    "method",
    "Method",
    "traits",
    "transient_payload",
)
QUERIES = (
    "&password=Password1!",
    "&Password=x",
    "&method=password",
    "&%70assword=x",
    ";password=x",
)
TYPES = (
    JSON,
    FORM,
    f"{JSON}; charset=utf-8",
    f"{JSON};charset=utf-16",
    JSON.upper(),
    f"{FORM}; charset=latin-1",
    f"{JSON}, {FORM}",
    MULTIPART,
    "application/vnd.api+json",
    "text/plain",
    "",
)


@dataclass(frozen=True)
class Recipe:
    """How to spell one submit; the same recipe can be filled with other values."""

    shape: str = "json"
    kinds: tuple[str, ...] = (JSON,)
    extra: tuple[tuple[int, str, Any], ...] = ()
    method: Any = "password"
    name_style: int = 0
    value_style: int = 0
    tail: str = ""
    good_tail: str = ""
    encoding: str = "utf-8"
    query: str = ""
    damage: tuple[tuple[int, bytes], ...] = ()
    is_zipped: bool = False

    def sent(
        self, password: str, traits: dict[str, str]
    ) -> tuple[list[tuple[str, str]], bytes, str]:
        """Return headers, body, and what follows the flow's id in the address."""
        pairs: list[tuple[str, Any]] = [
            ("method", self.method),
            ("password", password + self.good_tail),
        ]
        is_json = self.shape == "json"
        pairs += (
            [("traits", traits)] if is_json else [(f"traits.{k}", v) for k, v in traits.items()]
        )
        for place, name, value in self.extra:
            pairs.insert(place % (len(pairs) + 1), (name, value))
        text = {"json": self._json, "form": self._form, "multipart": _multipart}[self.shape](pairs)
        body = (text + self.tail).encode(self.encoding, "replace")
        for at, put in self.damage:
            place = at % (len(body) + 1)
            body = body[:place] + put + body[place + len(put) // 2 :]
        headers = [("content-type", kind) for kind in self.kinds if kind]
        if self.is_zipped:
            body = gzip.compress(body)
            headers.append(("content-encoding", "gzip"))
        return headers, body, self.query

    def _json(self, pairs: list[tuple[str, Any]]) -> str:
        spelt = []
        for number, (name, value) in enumerate(pairs):
            said = json.dumps(name, ensure_ascii=number % 2 == 0)
            if self.name_style == number + 1 and name:
                said = f'"\\u{ord(name[0]):04x}{json.dumps(name)[2:]}'
            text = json.dumps(value, ensure_ascii=self.value_style % 2 == 0)
            if self.value_style > 1 and isinstance(value, str):
                text = '"' + "".join(f"\\u{ord(c):04x}" for c in value if ord(c) < 0x10000) + '"'
            spelt.append(f"{said}:{text}")
        return "{" + ",".join(spelt) + "}"

    def _form(self, pairs: list[tuple[str, Any]]) -> str:
        spelt = []
        for number, (name, value) in enumerate(pairs):
            said = quote_plus(name)
            if self.name_style == number + 1:
                said = re.sub(r"[a-z]", lambda found: f"%{ord(found[0]):02x}", name, count=2)
            text = value if isinstance(value, str) else json.dumps(value)
            spelt.append(f"{said}={QUOTING[self.value_style](text, errors='replace')}")
        return "&".join(spelt)


def _multipart(pairs: list[tuple[str, Any]]) -> str:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    return "".join(part.format(name, value) for name, value in pairs) + "--x--\r\n"


def _kinds(shape: str) -> st.SearchStrategy[tuple[str, ...]]:
    fitting = st.just(({"json": JSON, "form": FORM, "multipart": MULTIPART}[shape],))
    odd = st.sampled_from(TYPES).map(lambda kind: (kind,))
    return st.one_of(fitting, fitting, fitting, odd, st.just((JSON, FORM)))


values = st.one_of(
    st.sampled_from(BAD),
    st.sampled_from(BAD).map(lambda bad: [bad]),
    st.sampled_from([None, 12345678, True, {}, {"password": BAD[0]}, "", "\ud800Aa1-Aa1-"]),
)
extras = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(NAMES), values), min_size=1, max_size=2
).map(tuple)
damages = st.lists(
    st.tuples(st.integers(0, 300), st.binary(max_size=2)), min_size=1, max_size=2
).map(tuple)


# What may be odd about a body; of one that is wrong in every way nothing would be learned.
ODDITIES: dict[str, st.SearchStrategy[Any]] = {
    "kinds": st.sampled_from(TYPES).map(lambda kind: (kind,)) | st.just((JSON, FORM)),
    "extra": extras,
    "method": st.sampled_from(["profile", "Password", ["password"], None]),
    "tail": st.sampled_from([" ", "\n{}", "&password=x", '{"password":"x"}', "\0"]),
    "encoding": st.sampled_from(["utf-8-sig", "utf-16", "latin-1"]),
    "query": st.sampled_from(QUERIES),
    "damage": damages,
    "is_zipped": st.just(value=True),
}


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    shape = draw(st.sampled_from(["json", "form", "json", "form", "multipart"]))
    odd = draw(st.lists(st.sampled_from(sorted(ODDITIES)), max_size=2, unique=True))
    fitting = {"json": JSON, "form": FORM, "multipart": MULTIPART}[shape]
    return Recipe(
        **{"shape": shape, "kinds": (fitting,)} | {name: draw(ODDITIES[name]) for name in odd},
        name_style=draw(st.integers(0, 4)),
        value_style=draw(st.integers(0, 2)),
        good_tail=draw(st.sampled_from(["", "é", " ", "+%41&", "\U0001f600", "\u212a", "\0"])),
    )
