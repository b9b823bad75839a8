"""Waits on this machine for the provider to send the browser back (RFC 8252, section 7.3)."""

from __future__ import annotations

import hmac
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from casemate.cli.errors import CommandError

PATH = "/callback"
WAIT_SECONDS = 300.0
_CONNECTION_SECONDS = 5.0
_DONE = b"Casemate has what it needs. You can close this window.\n"
_NOT_YOURS = b"This is not an answer to the login that waits here.\n"


class _Server(HTTPServer):
    expected_state = ""
    answer: dict[str, str] | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about connections that break: the wait goes on."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _CONNECTION_SECONDS
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        try:
            query = parse_qs(parts.query, strict_parsing=True, max_num_fields=16)
        except ValueError:
            query = {}
        state = query.get("state", [""])
        right = len(state) == 1 and hmac.compare_digest(
            state[0].encode(), self.server.expected_state.encode()
        )
        single = all(len(values) == 1 for values in query.values())
        # What does not carry our state is somebody else's, and must not end the wait.
        if parts.path != PATH or not right or not single or self.server.answer is not None:
            self._reply(400, _NOT_YOURS)
            return
        self.server.answer = {name: values[0] for name, values in query.items()}
        self._reply(200, _DONE)

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "no-referrer")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing: the query holds the code."""


class LoopbackRedirect:
    """Listens on a free port of 127.0.0.1 for one answer that carries `state`."""

    def __init__(self, state: str) -> None:
        """Start to listen."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.expected_state = state
        self.uri = f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def wait(self, seconds: float = WAIT_SECONDS) -> dict[str, str]:
        """Return the parameters of the answer; CommandError if none comes in time."""
        deadline = time.monotonic() + seconds
        while self._server.answer is None:
            self._server.timeout = deadline - time.monotonic()
            if self._server.timeout <= 0:
                raise CommandError(
                    f"The browser did not come back within {seconds:.0f} s.",
                    next_step="Run `casemate login --oidc` again and log in at the provider.",
                )
            self._server.handle_request()
        return self._server.answer

    def close(self) -> None:
        """Stop to listen."""
        self._server.server_close()
