"""Started by every process, and the only reader of the environment."""

import os

from integration.cli import root
from integration.cli.context import Environment


def cli() -> None:
    """Run the `kleis` program."""
    root(obj=Environment(dict(os.environ)), prog_name="kleis")
