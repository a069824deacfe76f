"""The example of the README does what it says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_goes_the_whole_way(stack):
    command = [
        sys.executable,
        ROOT / "examples" / "first_life.py",
        "--stack",
        stack.home / "stack.json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout
