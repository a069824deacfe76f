"""What was done before and need not be done again: migrations, the demo members."""

import shutil

from integration.launch.files import write_private
from integration.launch.home import Home


class Memory:
    """Steps done, each with a mark of what it depended on."""

    def __init__(self, home: Home) -> None:
        self._folder = home.root / "done"

    def has(self, step: str, mark: str) -> bool:
        try:
            return (self._folder / step).read_text(encoding="utf-8") == mark
        except OSError:
            return False

    def note(self, step: str, mark: str) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._folder / step, mark)

    def forget_all(self) -> None:
        """Called for a new, empty database server."""
        shutil.rmtree(self._folder, ignore_errors=True)
