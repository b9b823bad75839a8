"""Many connections that ask again as soon as they have an answer, from one thread of one process.

    python -m support.flood PORT PATH KEY CONNECTIONS SECONDS

Prints what was answered as one line of JSON: how many 200, how many others, the 50th and 99th
percentile of the time to a 200 in milliseconds, the 50th of that to another, and the seconds that
it took: on a busy machine more than were asked for.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.raw_http import request


class Flood:
    """A flood in a process of its own. `result` waits for its end."""

    def __init__(self, port: int, path: str, key: str, connections: int, seconds: float) -> None:
        words = [str(port), path, key, str(connections), str(seconds)]
        folder = str(Path(__file__).parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.flood", *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
        )

    def result(self, seconds: float = 60.0) -> dict[str, Any]:
        output, _ = self._process.communicate(timeout=seconds)
        found: dict[str, Any] = json.loads(output)
        return found


class _Client:
    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.received = b""
        self.sent_at = 0.0

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)
        self.received, self.sent_at = b"", time.monotonic()

    def status(self) -> int:
        """Return the status once the whole answer is there, 0 before."""
        self.received += self.sock.recv(65536)
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return 0
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        return int(head[9:12]) if len(body) >= length else 0


def pour(port: int, path: str, key: str, connections: int, seconds: float) -> dict[str, Any]:
    """Ask for this long; return what was answered."""
    raw = request(path, b'{"n":1}', key=key)
    times: list[float] = []
    others: dict[str, int] = {}
    refused: list[float] = []
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = _Client(port)
            selector.register(client.sock, selectors.EVENT_READ, client)
            client.send(raw)
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for ready, _ in selector.select(end - now):
                client = ready.data
                status = client.status()
                if not status:
                    continue
                if status == 200:
                    times.append(time.monotonic() - client.sent_at)
                else:
                    others[str(status)] = others.get(str(status), 0) + 1
                    refused.append(time.monotonic() - client.sent_at)
                client.send(raw)
    return {
        "good": len(times),
        "others": others,
        "p50": _percentile(times, 0.5),
        "p99": _percentile(times, 0.99),
        "others_p50": _percentile(refused, 0.5),
        "seconds": time.monotonic() - began,
    }


def _percentile(times: list[float], part: float) -> float:
    """Return what this part of them took at most, in milliseconds; 0 of none."""
    return sorted(times)[int(part * (len(times) - 1))] * 1000 if times else 0.0


if __name__ == "__main__":
    port, path, key, connections, seconds = sys.argv[1:]
    print(json.dumps(pour(int(port), path, key, int(connections), float(seconds))))
