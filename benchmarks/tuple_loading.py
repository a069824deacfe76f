"""Loading tuples through the edge against one writer straight into the same Keto.

The two take turns, PATCH by PATCH, into one growing database. Whole objects (a content with all its
tuples, as a platform loads them) and one tuple an object. Last, four loaders at once through the
edge; straight into Keto v0.13 they meet deadlocks.

    python -m benchmarks.tuple_loading [--tuples 100000] [--patch 500]
"""

import argparse
import itertools
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.private_stack import PrivateStack

_WRITERS = 4
_PEOPLE = [str(uuid4()) for _ in range(1000)]


def contents() -> Iterator[dict[str, Any]]:
    """Yield the tuples of public contents, seven each."""
    while True:
        name = uuid4().hex
        base = {"namespace": "Content", "object": name}
        main = {"namespace": "Platform", "object": "main"}
        channel = f"channel-{secrets.randbelow(100)}"
        yield {**base, "relation": "platform", "subject_set": {**main, "relation": ""}}
        inner = {"namespace": "Channel", "object": channel, "relation": ""}
        yield {**base, "relation": "channels", "subject_set": inner}
        yield {**base, "relation": "owners", "subject_id": secrets.choice(_PEOPLE)}
        for relation, who in itertools.product(("audience", "listing"), ("active", "guests")):
            yield {**base, "relation": relation, "subject_set": {**main, "relation": who}}


def owners() -> Iterator[dict[str, Any]]:
    """Yield one tuple of each of many contents."""
    while True:
        yield {
            "namespace": "Content",
            "object": uuid4().hex,
            "relation": "owners",
            "subject_id": secrets.choice(_PEOPLE),
        }


def patch(client: httpx.Client, tuples: list[dict[str, Any]]) -> float:
    """Insert tuples; return the seconds it took."""
    body = [{"action": "insert", "relation_tuple": each} for each in tuples]
    started = time.perf_counter()
    answer = client.patch("/admin/relation-tuples", json=body)
    took = time.perf_counter() - started
    if answer.status_code != 204:
        raise RuntimeError(f"status {answer.status_code}: {answer.text[:200]}")
    return took


def in_turns(
    what: str,
    make: Callable[[], Iterator[dict[str, Any]]],
    direct: httpx.Client,
    edge: httpx.Client,
    *,
    total: int,
    size: int,
) -> None:
    source = make()
    spent: dict[str, list[float]] = {"edge": [], "direct": []}
    for _ in range(max(4, total // size // 2)):
        for name, client in (("direct", direct), ("edge", edge)):
            spent[name].append(patch(client, list(itertools.islice(source, size))))
    pairs = zip(spent["direct"], spent["edge"], strict=True)
    ratio = statistics.median(straight / edged for straight, edged in pairs)
    middle = {name: statistics.median(values) * 1000 for name, values in spent.items()}
    print(
        f"{what}, PATCHes of {size}: through the edge / straight = {ratio:.2f}"
        f"  ({size * len(spent['edge']) / sum(spent['edge']):.0f} tuples/s;"
        f" p50 {middle['edge']:.0f} ms against {middle['direct']:.0f} ms)"
    )


def side_by_side(edge: httpx.Client, *, total: int, size: int) -> None:
    source = contents()
    batches = [list(itertools.islice(source, size)) for _ in range(max(_WRITERS, total // size))]
    started = time.perf_counter()
    with ThreadPoolExecutor(_WRITERS) as pool:
        # Raises when any of them is refused.
        list(pool.map(lambda batch: patch(edge, batch), batches))
    took = time.perf_counter() - started
    print(f"{_WRITERS} loaders at once: {size * len(batches) / took:.0f} tuples/s, no deadlock")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuples", type=int, default=100_000, help="of the first load, both ways")
    parser.add_argument("--patch", type=int, default=500, help="operations of a PATCH")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder), is_measured=True)
        try:
            stack.start()
            port = stack.environ["KLEIS_PORT_KETO_WRITE"]
            key = {"Authorization": f"Bearer {stack.facts['admin_api_key']}"}
            with (
                httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as direct,
                httpx.Client(base_url=stack.edge_url, headers=key, timeout=60) as edge,
            ):
                # The edge first: in a namespace that it found empty it knows every object.
                for client in (edge, direct):
                    patch(client, list(itertools.islice(contents(), given.patch)))
                total, size = given.tuples, given.patch
                in_turns("whole objects", contents, direct, edge, total=total, size=size)
                in_turns("whole objects", contents, direct, edge, total=total // 2, size=100)
                in_turns("one tuple an object", owners, direct, edge, total=total // 4, size=size)
                side_by_side(edge, total=total // 4, size=size)
        finally:
            stack.close()


if __name__ == "__main__":
    main()
