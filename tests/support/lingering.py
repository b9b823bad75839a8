"""An instance that goes on running, so that it can be seen from the host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from support.bystanders import processes_named
from support.node import TestNode


@contextmanager
def lingering(node: TestNode, function: str, name: str, seconds: float = 10) -> Iterator[int]:
    """Keep an instance running; yield its pid on the host."""
    failures: list[str] = []

    def call() -> None:
        answer = httpx2.post(
            f"{node.url}/invoke/{function}",
            json={"attack": "linger", "name": name, "seconds": seconds},
            headers={"authorization": f"Bearer {node.key}"},
            timeout=30,
        )
        if answer.status_code != 200:
            failures.append(answer.text)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        node.wait_until(lambda: processes_named(name))
        yield processes_named(name)[0]
    finally:
        thread.join()
    assert not failures, failures
