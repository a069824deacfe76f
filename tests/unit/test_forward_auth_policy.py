"""Which rule counts for a request: the first that matches, read in no other way than one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.edge.decisions.forward_auth import described_by
from integration.forward_auth_rules import RulesError, read_rules
from policies.forward_auth import Matched, Need, Permit, Unmatched, find

RULES_FILE = Path(__file__).with_name("recorded") / "forward_auth_rules.yml"
RULES = read_rules(RULES_FILE)


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "rules.yml"
        path.write_text(text)
        return path

    return write


def ask(target: str, method: str = "GET"):
    host, _, path = target.partition("/")
    return find(RULES, method=method, host=host, path=f"/{path}")


@pytest.mark.parametrize(
    ("method", "target", "name", "need"),
    [
        ("GET", "media.example.test/media/a1", "media", Permit("Content", "a1", "view")),
        ("GET", "MEDIA.example.test:8443/media/a1", "media", Permit("Content", "a1", "view")),
        ("GET", "media.example.test./media/a1", "media", Permit("Content", "a1", "view")),
        ("PUT", "other.example.org/media/a1", "edit", Permit("Content", "a1", "edit")),
        ("POST", "x.org/admin/a/b", "admin", Permit("Permission", "members.write", "use")),
        ("GET", "x.org/admin", "admin", Permit("Permission", "members.write", "use")),
        ("GET", "a.b.example.test/assets/x.css", "assets", Need.NOTHING),
        ("GET", "app.example.test/", "everything else", Need.SESSION),
        ("GET", "app.example.test/media/a/b", "everything else", Need.SESSION),
    ],
)
def test_the_first_rule_that_matches_counts(method, target, name, need):
    found = ask(target, method)

    assert isinstance(found, Matched)
    assert (found.rule.name, found.need) == (name, need)


@pytest.mark.parametrize(
    ("method", "target", "why"),
    [
        ("GET", "x.org/", Unmatched.NO_RULE),
        ("POST", "media.example.test/media/a1", Unmatched.NO_RULE),
        ("GET", "example.test/assets/x", Unmatched.NO_RULE),
        ("GET", "evilexample.test/assets/x", Unmatched.NO_RULE),
        ("BREW", "app.example.test/", Unmatched.MALFORMED),
        ("GET", "app.example.test:x/", Unmatched.MALFORMED),
        ("GET", "a, b/", Unmatched.MALFORMED),
        ("GET", "/", Unmatched.MALFORMED),
        ("GET", "media.example.test/media/a%20b", Unmatched.OBJECT),
        ("GET", "media.example.test/media/" + "a" * 129, Unmatched.OBJECT),
    ],
)
def test_what_matches_no_rule_is_denied(method, target, why):
    assert ask(target, method) is why


@pytest.mark.parametrize(
    "path", ["/ADMIN/x", "/Admin", "/admin;x=1/y", "/admin./x", "/MEDIA/a1/", "/admin;/x"]
)
def test_what_a_careless_reader_would_take_for_another_rule_is_denied(path):
    """Behind the proxy may be an application that does not mind case, slashes or parameters."""
    assert ask(f"app.example.test{path}", "PUT") in (Unmatched.AMBIGUOUS, Unmatched.OBJECT)


@given(st.text(alphabet="/aAdminMEDI.;{}*%", max_size=20))
def test_no_spelling_of_an_admin_path_gets_by_with_a_session(text):
    found = find(RULES, method="GET", host="app.example.test", path=f"/{text}")
    plain = f"/{text}".lower().partition(";")[0].rstrip("/.")
    if plain == "/admin" or plain.startswith("/admin/"):
        assert not (isinstance(found, Matched) and found.need is Need.SESSION)


# The file


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("rules:\n  - path: /a\n    require: sesion\n", 3, "require"),
        ("rules:\n  - path: a\n    require: public\n", 2, "begins with /"),
        ("rules:\n  - path: /a/**/b\n    require: public\n", 2, "at the end"),
        ("rules:\n  - path: /{a}/{a}\n    require: public\n", 2, "twice"),
        ("rules:\n  - path: /a\n    require: Content:{id}#view\n", 3, "captures no {id}"),
        ("rules:\n  - path: /{id}\n    require: Content:{id}#owners\n", 3, "permit"),
        ("rules:\n  - path: /{id}\n    require: 'Content:{id} #view'\n", 3, "letters"),
        ("rules:\n  - path: /a\n    methods: [BREW]\n    require: public\n", 3, "methods"),
        ("rules:\n  - path: /a\n    methods: []\n    require: public\n", 3, "methods"),
        ("rules:\n  - path: /a\n    host: 'a b'\n    require: public\n", 3, "host"),
        ("rules:\n  - path: /a\n    requires: public\n", 3, "requires"),
        ("rules:\n  - path: /a\n    path: /b\n    require: public\n", 2, "twice"),
        ("rules:\n  - path: /a\n", 2, "require"),
        ("rules:\n  - x\n", 2, "path and require"),
        ("rule:\n  - x\n", 1, "rules"),
        ("", 1, "rules"),
        ("rules: [\n", 2, "expected"),
    ],
)
def test_an_error_names_its_line(written, text, line, words):
    with pytest.raises(RulesError) as caught:
        read_rules(written(text))

    assert f":{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_all_faulty_rules_are_named_at_once(written):
    with pytest.raises(RulesError) as caught:
        read_rules(written("rules:\n  - path: a\n    require: x\n  - path: b\n    require: y\n"))

    assert ":2: " in str(caught.value)
    assert ":4: " in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RulesError):
        read_rules(tmp_path / "none.yml")


# What a proxy sends


def sent(**more: str) -> list[tuple[bytes, bytes]]:
    fields = {
        "x-forwarded-method": "GET",
        "x-forwarded-host": "app.example.test",
        "x-forwarded-uri": "/media/a",
    } | {name.replace("_", "-"): value for name, value in more.items()}
    return [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]


def test_traefik_and_nginx_are_understood():
    described = described_by(sent())
    nginx = [
        (name.replace(b"forwarded", b"original"), value)
        for name, value in sent(x_forwarded_uri="/media/a?x=/../y")
    ]

    assert described is not None
    assert described.path == "/media/a"
    assert described_by(nginx) == described


@pytest.mark.parametrize(
    "uri",
    [
        "/media/../admin",
        "/media/..%2fadmin",
        "/media/%2e%2e/admin",
        "/media/%252e%252e/admin",
        "//admin",
        "/media//a",
        "/./admin",
        "/%61dmin",
        "/admin%00",
        "/admin\\x",
        "/admin#x",
        "/admin#?x",
        "http://elsewhere.test/media/a",
        "/m\u00e9dia",
        "media/a",
        "",
    ],
)
def test_a_path_in_another_spelling_is_not_read(uri):
    assert described_by(sent(x_forwarded_uri=uri)) is None


def test_who_adds_the_headers_of_another_proxy_gets_nowhere():
    assert described_by(sent(x_original_uri="/assets/x")) is None
    assert described_by(sent(x_original_method="HEAD")) is None
    assert described_by(sent(x_original_uri="/media/a")) is not None
    assert described_by([*sent(), (b"x-forwarded-uri", b"/assets/x")]) is None
