"""Bodies that are too large for our listeners, from whoever reaches them past the edge."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_body_bytes": 1000, "max_import_bytes": 1000})


def chunks(size: int) -> Iterator[bytes]:
    """Return a body whose length nobody is told, as one JSON text."""
    yield b'"'
    for _ in range(size // 100):
        yield b"x" * 100
    yield b'"'


@pytest.mark.parametrize("secret", ["a-hook-secret-for-tests", "wrong"])
def test_a_hook_reads_no_more_than_the_largest_it_could_be_told(hooks, secret):
    headers = {"X-Kleis-Hook-Secret": secret, "Content-Type": "application/json"}
    path = "/hooks/authority/settle"
    assert hooks.post(path, content=chunks(5000), headers=headers).status_code == 413
    assert hooks.post(path, content=b"x" * 5000, headers=headers).status_code == 413
    assert hooks.post(path, content=chunks(3000), headers=headers).status_code in (401, 422)


def test_the_api_reads_no_more_than_the_edge_passes_on(api):
    headers = {"Content-Type": "application/json"}
    answer = api.post("/api/auth/login", content=chunks(2000), headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    login = {"identifier": "ada@example.test", "password": "x" * 500}
    assert api.post("/api/auth/login", json=login).status_code == 503
    assert api.post("/unlock", data={"ticket": "x" * 2000}).status_code == 413
