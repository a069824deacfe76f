"""The ports of one embedded stack: which, whether they are free, and what moves each."""

import errno
import socket
from contextlib import closing

from integration.errors import StackError
from integration.settings import PREFIX, StackSettings

HOST = "127.0.0.1"


def of(settings: StackSettings) -> dict[str, int]:
    """Return every port of the stack by the name of its setting."""
    names = {name for name in StackSettings.model_fields if name.startswith("port_")}
    if not settings.demo_provider:
        names.remove("port_oidc")
    return {name: getattr(settings, name) for name in StackSettings.model_fields if name in names}


def require_free(ports: dict[str, int]) -> None:
    """Make sure that every port can be listened on.

    Raises:
        StackError: names the first that cannot, and the setting that moves it.
    """
    seen: dict[int, str] = {}
    for name, port in ports.items():
        setting = f"{PREFIX}{name.upper()}"
        if port in seen:
            raise StackError(f"{seen[port]} and {setting} are both {port}: change one of them")
        seen[port] = setting
        if problem := _problem(port):
            raise StackError(
                f"port {port} {problem}: end that program, or set {setting} to another port"
            )


def _problem(port: int) -> str:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: a connection that was closed a moment ago is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            return f"cannot be used ({error.strerror})"
    return ""
