"""Runs the example in the kit's README, as it is written there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.kit.conftest import eventually
from tests.private_stack import free_ports

KIT = Path(__file__).parents[2] / "clients" / "python"
_BLOCK = re.compile(r", `(\w+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example:
    """The example's two programs; the service runs.

    Args:
        folder: Where they are written to.
    """

    def __init__(self, folder: Path, kleis_url: str, shop_port: int) -> None:
        self._folder = folder
        self.shop_url = f"http://127.0.0.1:{shop_port}"
        self._environment = os.environ | {
            "PYTHONPATH": str(KIT),
            "PYTHONWARNINGS": "error",
            "KLEIS_URL": kleis_url,
            "SHOP_URL": self.shop_url,
        }

    def customer(self, email: str, password: str) -> dict[str, str]:
        """Run the customer and return what it said, by the words before each first space."""
        run = subprocess.run(
            [sys.executable, self._folder / "customer.py"],
            env=self._environment | {"EMAIL": email, "PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        lines = (line.partition(" ") for line in run.stdout.replace("I am", "me:").splitlines())
        return {name: said for name, _, said in lines}

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.shop_url}/me", timeout=5).status_code == 401
        except httpx.TransportError:
            return False


@contextmanager
def running_example(folder: Path, kleis_url: str, api_key: str) -> Iterator[Example]:
    """Write the example's programs down and serve the shop."""
    programs = _BLOCK.findall((KIT / "README.md").read_text())
    assert [name for name, _ in programs] == ["shop.py", "customer.py"]
    for name, text in programs:
        (folder / name).write_text(text)
    (port,) = free_ports(1)
    example = Example(folder, kleis_url, port)
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port)]
    with (folder / "shop.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=example._environment | {"KLEIS_API_KEY": api_key},
            stdout=log,
            stderr=log,
        )
        try:
            eventually(lambda: example.answers() or server.poll() is not None, seconds=60)
            assert server.poll() is None, (folder / "shop.log").read_text()
            yield example
        finally:
            server.terminate()
            server.wait(30)
