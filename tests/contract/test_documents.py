"""Documents that are written by the code are what the code would write now."""

import json
from pathlib import Path

from integration.cli.documentation import settings_page
from integration.service import openapi

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_up_to_date():
    assert (DOCS / "settings.md").read_text() == settings_page(), "run: make docs"


def test_the_contract_of_our_api_changes_only_on_purpose():
    written = json.loads((DOCS / "openapi.json").read_text())
    assert written == json.loads(json.dumps(openapi())), "run: make docs"
