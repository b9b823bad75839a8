"""A collector of tests: OTLP over HTTP on loopback, read by opentelemetry-proto."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

REQUESTS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
RESPONSES: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceResponse,
    "/v1/metrics": ExportMetricsServiceResponse,
    "/v1/logs": ExportLogsServiceResponse,
}


class Answer:
    """What it answers instead of taking what it is sent."""

    def __init__(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Collector:
    """Keeps what it takes: all of it, parsed, with its path and headers."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.asked = 0
        self.answer: Callable[[str, Any], Answer | None] = lambda _path, _request: None
        """Returns what to answer, None to take it."""
        self.lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing: who is told an answer without end goes away."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = int(self.server.server_address[1])
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self.lock:
            self.asked += 1
        request = REQUESTS[handler.path].FromString(body)
        answer = self.answer(handler.path, request)
        if answer is None or answer.status == 200:
            with self.lock:
                headers = {k.lower(): v for k, v in handler.headers.items()}
                self.requests.append((handler.path, headers, request))
        answer = answer or Answer(200, RESPONSES[handler.path]().SerializeToString())
        handler.send_response(answer.status)
        for name, value in {
            "content-type": "application/x-protobuf",
            "content-length": str(len(answer.body)),
            **answer.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def of(self, signal: str) -> list[Any]:
        """Return the requests of one kind that were taken."""
        with self.lock:
            return [request for path, _, request in self.requests if path == f"/v1/{signal}"]

    def spans(self) -> Iterator[Any]:
        for request in self.of("traces"):
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    yield from scope.spans

    def lines(self) -> Iterator[Any]:
        for request in self.of("logs"):
            for resource in request.resource_logs:
                for scope in resource.scope_logs:
                    yield from scope.log_records

    def metrics(self) -> Iterator[Any]:
        for request in self.of("metrics"):
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    yield from scope.metrics

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def attributes(found: Any) -> dict[str, Any]:
    """Return attributes as Python has them."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found}


def hangs(_path: str, _request: Any) -> None:
    """Answer nothing for long."""
    time.sleep(60)
