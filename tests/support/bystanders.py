"""Calls that go on while something else goes wrong, and what a caller may see of a failure."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx2

from support.node import TestNode

MARKER = "zebra7marker"
"""In every message, class name and line of output of tests/functions/hostile."""
INSIDE = (MARKER, "traceback", "app.py", "/function", "handler", ".py", "error:", "exception")
SLOWEST = 20.0
"""Seconds a bystander's call may take on a loaded machine of two cores."""
BYSTANDER = "def handler(event, context):\n    return event\n"


class Bystanders:
    """Calls another function, and the same one, in the background for as long as it is open."""

    def __init__(self, node: TestNode, same: str) -> None:
        self._node = node
        self._same = same
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._headers = {"authorization": f"Bearer {node.key}"}
        self.calls: list[tuple[str, int, str, float]] = []

    def _run(self) -> None:
        with httpx2.Client(timeout=30, headers=self._headers) as client:
            last = False
            while not last:
                last = self._over.is_set()
                self._call(client, "t/bystander", {"n": len(self.calls)})
                self._call(client, self._same, {"do": "nothing"})
                time.sleep(0.05)

    def _call(self, client: httpx2.Client, function: str, event: dict[str, Any]) -> None:
        started = time.monotonic()
        try:
            answer = client.post(f"{self._node.url}/invoke/{function}", json=event)
        except httpx2.HTTPError as error:
            self.calls.append((function, 0, repr(error), time.monotonic() - started))
            return
        seconds = time.monotonic() - started
        self.calls.append((function, answer.status_code, answer.text, seconds))

    def __enter__(self) -> Bystanders:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def were_unharmed(self) -> None:
        """Each was answered, at least once before and once after the other one's end, in time."""
        assert len(self.calls) >= 2
        for index, (function, status, text, seconds) in enumerate(self.calls):
            assert status == 200, (function, status, text)
            expected = f'{{"n":{index}}}' if function == "t/bystander" else '"done"'
            assert text == expected
            assert seconds < SLOWEST, (function, seconds)


def assert_sealed(answer: httpx2.Response, status: int) -> None:
    """An RFC 9457 problem with an error id, and nothing of the inside in body or headers."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert set(document) <= {"type", "title", "status", "error_id", "detail"}
    assert document["type"].startswith("urn:casemate:problem:")
    assert document["status"] == status
    assert document["error_id"].startswith("err_")
    seen = answer.text.lower() + "".join(f"{k}: {v}\n" for k, v in answer.headers.items()).lower()
    assert not [word for word in INSIDE if word in seen], seen


def processes_named(name: str) -> list[int]:
    """Return every process of the machine with a name that begins like this."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                threads = [p.read_text() for p in folder.glob("task/*/comm")]
            except OSError:
                continue
            if any(text.startswith(name) for text in threads):
                found.append(int(folder.name))
    return found
