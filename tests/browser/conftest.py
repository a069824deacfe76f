"""Browsers in front of a whole private stack: always an HTML client, and Chromium where found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.browser import Browser
from tests.browser.chromium import Chromium
from tests.browser.html_client import HtmlClient
from tests.private_stack import PrivateStack

INSTALLATION = chromium.find()
NAMES = [HtmlClient.name] + ([Chromium.name] if INSTALLATION else [])


@pytest.fixture(params=NAMES)
def browser(
    request: pytest.FixtureRequest, stack: PrivateStack, tmp_path: Path
) -> Iterator[Browser]:
    """One window, once with each browser there is."""
    window = new_window(request.param, stack.edge_url, tmp_path)
    yield window
    window.close()


def new_window(name: str, start_url: str, profile: Path) -> Browser:
    if name == HtmlClient.name:
        return HtmlClient(start_url)
    assert INSTALLATION is not None
    return Chromium(start_url, installation=INSTALLATION, profile=profile / "profile")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    used = f"{HtmlClient.name}; Chromium and its driver were not found"
    if INSTALLATION is not None:
        used = f"{HtmlClient.name} and Chromium ({INSTALLATION.browser})"
    terminalreporter.write_line(f"browser journeys ran in: {used}")
