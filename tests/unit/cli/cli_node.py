"""A node on a real port: the real control API on a control service in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from api_fake_control import FakeControl, Parts

from casemate.api import create_app


@dataclass
class Answer:
    """What the function answers when it is invoked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b'{"message": "Hello"}'


@dataclass
class Node:
    control: FakeControl
    parts: Parts
    url: str
    answer: Answer = field(default_factory=Answer)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    drop_connections: bool = False


def start_node(spool: Path) -> tuple[Node, Callable[[], None]]:
    """Start a node and return it with the function that ends it."""
    parts = Parts(spool)
    app = create_app(parts.service)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            if node.drop_connections:
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            node.requests.append((self.command, self.path, headers, body))
            if self.path.startswith("/invoke/"):
                answer = node.answer
                self.start(answer.status, list(answer.headers.items()))
                self.wfile.write(answer.body)
                return
            asyncio.run(self.bridge(body))

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def start(self, status: int, headers: list[tuple[str, str]]) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True

        async def bridge(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            messages = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive():
                if messages:
                    return messages.pop()
                return await asyncio.Event().wait()

            async def send(message) -> None:
                if node.drop_connections:
                    raise OSError("gone")
                if message["type"] == "http.response.start":
                    headers = [(k.decode(), v.decode()) for k, v in message["headers"]]
                    self.start(message["status"], headers)
                else:
                    self.wfile.write(message.get("body", b""))
                    self.wfile.flush()

            scope = {
                "type": "http",
                "method": self.command,
                "path": unquote(path),
                "query_string": query.encode(),
                "headers": [
                    (k.lower().encode("latin-1"), v.encode("latin-1"))
                    for k, v in self.headers.items()
                ],
            }
            try:
                await app(scope, receive, send)
            except* OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    node = Node(parts.control, parts, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def stop() -> None:
        node.drop_connections = True
        server.shutdown()
        server.server_close()
        thread.join(5)

    return node, stop
