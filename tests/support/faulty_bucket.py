"""A way to an S3-compatible server that can be slow, end too early, or mix answers up."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultyBucket:
    """Hands requests on. `late`: seconds before an answer; `cut`: only half of it is sent; `mixed`:
    what is read is what another object holds.
    """

    def __init__(self, server: str) -> None:
        self.late = 0.0
        self.cut = False
        self.mixed = False
        self._host = server.removeprefix("http://").partition("/")[0]
        self._bodies: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                outer._answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(self._host, timeout=30)
        connection.putrequest(
            request.command, request.path, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        time.sleep(self.late)
        if (
            request.command == "GET"
            and answer.status in (200, 206)
            and "list-type" not in request.path
        ):
            self._bodies[request.path] = content
            others = [one for path, one in self._bodies.items() if path != request.path]
            if self.mixed and any(others):
                # Of the right length, which alone would be noticed.
                other = max(others, key=len)
                content = (other * (len(content) // len(other) + 1))[: len(content)]
        request.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                request.send_header(name, value)
        length = answer.getheader("content-length") if request.command == "HEAD" else None
        request.send_header("content-length", length or str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content[: len(content) // 2] if self.cut else content)
        if self.cut:
            request.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
