"""Access tokens at the edge, which has the published keys alone."""

import asyncio
from datetime import timedelta

import pytest

from integration.db import signing_keys as rows
from integration.edge.access_tokens import EdgeAccessTokens
from integration.edge.database import Database
from integration.edge.problems import RefusedError
from integration.tokens import signing_keys
from integration.tokens.access import InvalidTokenError
from tests.token_stage import ring_of, somebody


def at_the_edge(settings, work):
    async def run():
        database = Database(settings)
        await database.start()
        try:
            return await work(EdgeAccessTokens(settings, database))
        finally:
            await database.close()

    return asyncio.run(run())


def test_a_token_is_read_and_one_of_a_withdrawn_key_is_not(services, clock):
    who = somebody(services, ring_of(services))

    async def work(tokens):
        claims = await tokens.verify(who.tokens.access_token)
        assert (claims.identity_id, claims.session_id) == (who.identity_id, who.session_id)
        with pytest.raises(InvalidTokenError):
            await tokens.verify(who.tokens.access_token[:-4] + "AAAA")

    at_the_edge(services.settings, work)
    with services.transaction() as session:
        signing_keys.replace_compromised(session, services.settings, now=clock())

    async def after(tokens):
        with pytest.raises(InvalidTokenError):
            await tokens.verify(who.tokens.access_token)

    at_the_edge(services.settings, after)


def test_a_retired_key_is_known_as_long_as_its_tokens_live(services, clock):
    who = somebody(services, ring_of(services))

    def retired(ago):
        with services.transaction() as session:
            [row] = rows.everything(session)
            row.retired_at = clock() - ago

    async def work(tokens):
        return await tokens.verify(who.tokens.access_token)

    retired(timedelta(minutes=14))
    assert at_the_edge(services.settings, work)
    retired(timedelta(minutes=17))
    with pytest.raises(InvalidTokenError):
        at_the_edge(services.settings, work)


def test_without_a_database_nobody_is_believed_on_a_guess(services):
    who = somebody(services, ring_of(services))
    away = services.settings.model_copy(update={"database_url": _Unreachable()})

    async def work(tokens):
        with pytest.raises(RefusedError):
            await tokens.verify(who.tokens.access_token)

    at_the_edge(away, work)


class _Unreachable:
    def get_secret_value(self) -> str:
        return "postgresql://kleis:wrong@127.0.0.1:1/kleis"
