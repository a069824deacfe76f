"""Pages that read our database: the start page of a member, the mailbox, the list of the API."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from bs4 import BeautifulSoup

from integration.db import mailbox, members
from integration.settings import Settings
from policies.lifecycle import Status
from policies.registration import new_member
from tests.kratos_double import KratosDouble, serving

COOKIE = {"cookie": "ory_kratos_session=x"}
PAGE = {"accept": "text/html"}
JSON = {"accept": "application/json"}


@pytest.fixture
def kratos() -> KratosDouble:
    return KratosDouble()


@pytest.fixture
def settings(settings: Settings, kratos: KratosDouble) -> Iterator[Settings]:
    with serving(kratos) as url:
        yield settings.model_copy(update={"kratos_public_url": url})
