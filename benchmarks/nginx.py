"""nginx, as a rival and as a stub of Kratos that answers faster than anything before it asks."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.stage import run_on, wait_for

_SHELL = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000;
  {inside}
}}
"""
_PROXY = """\
  upstream stub {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
"""
_STUB = """\
  server {{
    listen 127.0.0.1:{port}; default_type application/json;
    location / {{
      {fields}
      return 200 '{body}';
    }}
  }}
"""


def proxy(upstream: int, port: int, *, core: int) -> AbstractContextManager[int]:
    """Run one worker that passes everything on and keeps its connections open.

    It enters as the number of the worker's process. Linux only.
    """
    return _running(_PROXY.format(upstream=upstream, port=port), port, core)


def stub(body: str, fields: dict[str, str], port: int, *, core: int) -> AbstractContextManager[int]:
    """Run one worker that answers everything with `body`. Enters as `proxy` does."""
    said = " ".join(f"add_header {name} {value};" for name, value in fields.items())
    return _running(_STUB.format(port=port, fields=said, body=body), port, core)


@contextmanager
def _running(inside: str, port: int, core: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = Path(folder) / "nginx.conf"
        config.write_text(_SHELL.format(folder=folder, inside=inside))
        command = ["nginx", "-c", str(config), "-p", folder]
        process = subprocess.Popen(
            command,
            preexec_fn=partial(run_on, core),  # noqa: PLW1509
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_for(port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield int(children.split()[0])
