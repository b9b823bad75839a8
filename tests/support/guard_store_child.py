"""Runs handlers one after the other that share tables, buckets and queues which keep labels.

Arguments: folder of `app.py`. Standard input: JSON `[[handler, event], ...]`. Standard output: one
JSON line for each. The host is a thread that keeps what it is given, labels with it.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from casemate.guard import setting_up
from casemate.guard.core import Guard
from casemate.guard.labels import Labels
from casemate.guard.verdict import BlockedError
from casemate.runner import wire
from casemate.runner.capabilities import Queue, Table
from casemate.runner.channel import Channel
from casemate.runner.objects import Bucket


class Host:
    """Keeps items, objects and messages."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._items: dict[str, dict[str, Any]] = {}
        self._objects: dict[str, tuple[bytes, Any]] = {}
        self._metadata: dict[str, dict[str, str]] = {}

    def serve(self) -> None:
        """Answer until the other end closes."""
        reader = wire.FrameReader(frozenset((wire.CAPABILITY,)), 1 << 30)
        while data := self._sock.recv(1 << 20):
            for _kind, head, body in reader.feed(data):
                asked = json.loads(head)
                fields, content = self._answer(asked, body)
                reply = json.dumps({"n": asked["n"], "ok": fields}).encode()
                self._sock.sendall(wire.pack(wire.REPLY, reply, content))

    def _answer(self, asked: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        operation = asked["op"]
        if operation == "table.put":
            value = json.loads(body)
            self._items[value["id"]] = {
                "value": value,
                "revision": 1,
                "modified_at": 1.0,
                "labels": asked.get("labels"),
            }
            return {"revision": 1, "modified_at": 1.0}, b""
        if operation == "table.get":
            return self._items[asked["key"]], b""
        if operation == "table.query":
            return {"items": list(self._items.values())}, b""
        if operation == "bucket.put":
            self._objects[asked["key"]] = (body, asked.get("labels"))
            self._metadata[asked["key"]] = asked.get("metadata") or {}
            return self._info(asked["key"]), b""
        if operation == "bucket.head":
            return self._info(asked["key"]), b""
        if operation == "bucket.list":
            return {"objects": [self._info(key) for key in self._objects], "after": None}, b""
        if operation == "bucket.get":
            content, labels = self._objects[asked["key"]]
            return self._info(asked["key"]) | {"labels": labels}, content
        return {"id": "1"}, b""

    def _info(self, key: str) -> dict[str, Any]:
        return {
            "key": key,
            "revision": 1,
            "size": len(self._objects[key][0]),
            "content_type": "",
            "metadata": self._metadata.get(key, {}),
            "modified_at": 1.0,
            "sha256": "",
        }


class Context:
    """What a handler gets."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def table(self, name: str) -> Table:
        """Return a table."""
        return Table(self._channel, name)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        return Bucket(self._channel, name)

    def queue(self, name: str) -> Queue:
        """Return a queue."""
        return Queue(self._channel, name)


def main() -> None:
    """Answer each event."""
    root = sys.argv[1]
    ours, theirs = socket.socketpair()
    threading.Thread(target=Host(ours).serve, daemon=True).start()
    channel = Channel(theirs)
    channel.open = True
    guard = Guard(root)
    channel.labels = Labels(guard)
    sys.path.insert(0, root)
    setting_up.before_import(guard)
    app: Any = __import__("app")
    setting_up.after_import(guard)
    for name, event in json.load(sys.stdin):
        records: list[dict[str, Any]] = []
        guard.report = records.append
        guard.begin(event)
        try:
            result = repr(getattr(app, name)(event, Context(channel)))
            outcome = "ok"
        except BlockedError as error:
            outcome, result = "blocked", str(error)
        except Exception as error:
            outcome, result = "error", f"{type(error).__name__}: {error}"
        guard.end()
        print(json.dumps({"outcome": outcome, "result": result, "records": records}), flush=True)


if __name__ == "__main__":
    main()
