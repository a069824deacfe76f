"""Whatever bytes arrive as a submit: the password that the real Kratos stores, our policy saw.

What the policy saw is in the member's history (as a digest); what Kratos stored, only a login at
Kratos itself can tell, past the edge.
"""

import asyncio
import http.client
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings

from integration.edge.flows.submits import read_fields
from integration.edge.passwords.digests import PasswordDigests
from integration.edge.passwords.judge import common_passwords
from policies.decisions import Allow
from policies.passwords import PasswordOwner, decide_password
from tests.system.hostile_bodies import Recipe, recipes

WRONG_CREDENTIALS = "4000006"
NUMBERS = itertools.count()
PLAIN = Recipe()
FORM = Recipe(shape="form", kinds=("application/x-www-form-urlencoded",))
LATER = Recipe(extra=((9, "password", "Password1!"),))
FOLDED = Recipe(extra=((9, "pa\u017f\u017fword", "Password1!"),))
EARLIER = replace(FORM, extra=((0, "password", "Password1!"),))
BESIDE = replace(FORM, query="&password=Password1!")
bounded = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Witness:
    """Sends submits to the edge, and looks at both databases and at Kratos itself."""

    def __init__(self, stack: Any) -> None:
        given = json.loads((stack.home / "settings.json").read_text())
        self.edge = urlsplit(stack.edge_url)
        self.kratos = httpx.Client(base_url=given["KLEIS_KRATOS_PUBLIC_URL"], timeout=30)
        self.ours = psycopg.connect(stack.database_url, autocommit=True)
        self.theirs = psycopg.connect(stack.kratos_database_url, autocommit=True)
        self.digests = PasswordDigests(given["KLEIS_SECRET"])
        self.seen: set[str] = set()
        self.outcomes: Counter[str] = Counter()

    def close(self) -> None:
        for each in (self.kratos, self.ours, self.theirs):
            each.close()

    def send(self, flow: str, recipe: Recipe, sent: Any, token: str | None = None) -> int:
        """Submit bytes as they are and return the status."""
        headers, body, query = sent
        connection = http.client.HTTPConnection(self.edge.hostname, self.edge.port, timeout=30)
        try:
            kind, _, _ = flow.partition("?")
            connection.putrequest("POST", f"/self-service/{flow}{query}")
            for name, value in [*headers, ("content-length", str(len(body)))]:
                connection.putheader(name, value)
            if token is not None:
                connection.putheader("x-session-token", token)
            connection.endheaders(body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 500, (kind, answer.status, body)
            self.outcomes[f"{kind} {recipe.shape} {answer.status // 100}"] += 1
            return answer.status
        finally:
            connection.close()

    def new_flow(self, kind: str, token: str | None = None) -> str:
        headers = {} if token is None else {"x-session-token": token}
        answer = httpx.get(
            f"{self.edge.geturl()}/self-service/{kind}/api", headers=headers, timeout=30
        )
        return f"{kind}?flow={answer.json()['id']}"

    def new_identities(self) -> list[tuple[str, str]]:
        """Return id and e-mail address of those with a password that were not there before."""
        rows = self.theirs.execute(
            "select i.id::text, i.traits ->> 'email' from identities i"
            " join identity_credentials c on c.identity_id = i.id"
            " where c.config ->> 'hashed_password' <> '' and not i.id::text = any(%s)",
            (list(self.seen),),
        ).fetchall()
        self.seen |= {row[0] for row in rows}
        return rows

    def history(self, identity_id: str) -> tuple[bytes, list[bytes]]:
        row = self.ours.execute(
            "select salt, digests from password_histories where identity_id = %s", (identity_id,)
        ).fetchone()
        assert row is not None, "Kratos stores a password that nobody judged"
        return row

    def digest(self, password: str, salt: bytes) -> bytes:
        return asyncio.run(self.digests.digest(password, salt))

    def kratos_takes(self, identifier: str, password: str) -> bool:
        """Tell whether Kratos itself finds the password right, whoever may then log in or not."""
        flow = self.kratos.get("/self-service/login/api").json()["id"]
        body = {"method": "password", "identifier": identifier, "password": password}
        answer = self.kratos.post("/self-service/login", params={"flow": flow}, json=body)
        return WRONG_CREDENTIALS not in answer.text

    def assert_the_policy_saw(self, identity_id: str, email: str, sent: Any) -> str:
        """Return the password that was stored, after having compared what everybody knows."""
        headers, body, _ = sent
        password = read_fields([(k.encode(), v.encode()) for k, v in headers], body)["password"]
        salt, kept = self.history(identity_id)
        assert kept[0] == self.digest(password, salt), "another password was judged"
        assert self.kratos_takes(email, password), "another password is stored"
        owner = PasswordOwner(email=email)
        assert decide_password(password, "seed", owner, common_passwords()) == Allow()
        return str(password)


@pytest.fixture
def witness(stack) -> Iterator[Witness]:
    made = Witness(stack)
    made.new_identities()
    yield made
    made.close()


def test_the_password_of_every_registration_was_judged(witness):
    @settings(bounded, max_examples=90)
    @given(recipe=recipes())
    @example(recipe=PLAIN)
    @example(recipe=FORM)
    @example(recipe=LATER)
    @example(recipe=FOLDED)
    @example(recipe=EARLIER)
    @example(recipe=BESIDE)
    def register(recipe: Recipe) -> None:
        name = f"{next(NUMBERS)}-{secrets.token_hex(3)}"
        traits = {"email": f"f{name}@example.test", "username": f"fz-{name}"}
        sent = recipe.sent("Correct-Horse-1", traits)
        witness.send(witness.new_flow("registration"), recipe, sent)
        for identity_id, email in witness.new_identities():
            witness.assert_the_policy_saw(identity_id, email, sent)

    register()
    # Else this would show nothing.
    assert witness.outcomes["registration json 2"] >= 5, witness.outcomes
    assert witness.outcomes["registration form 2"] >= 5, witness.outcomes
    assert sum(n for name, n in witness.outcomes.items() if name.endswith("4")) >= 10


def test_every_password_set_in_settings_was_judged(witness, person):
    person.register()
    person.verify()
    token = person.log_in()

    @bounded
    @given(recipe=recipes())
    @example(recipe=PLAIN)
    @example(recipe=FORM)
    @example(recipe=LATER)
    @example(recipe=FOLDED)
    @example(recipe=EARLIER)
    @example(recipe=BESIDE)
    def change(recipe: Recipe) -> None:
        nonlocal token
        _, before = witness.history(person.identity_id)
        traits = {"email": person.email, "username": person.username}
        sent = recipe.sent(f"Correct-Horse-{secrets.token_hex(4)}", traits)
        witness.send(witness.new_flow("settings", token), recipe, sent, token)
        _, after = witness.history(person.identity_id)
        if after == before:
            assert witness.kratos_takes(person.email, person.password)
            return
        person.password = witness.assert_the_policy_saw(person.identity_id, person.email, sent)
        token = person.log_in()

    change()
    assert witness.outcomes["settings json 2"] >= 5, witness.outcomes
    assert witness.outcomes["settings form 2"] >= 5, witness.outcomes
