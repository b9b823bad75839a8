"""Measure what exporting costs: processor time and lag, while thousands a second happen.

    python -m bench.exports [--facts PER_SECOND] [--seconds N] [--rounds N]

The processes are those of `bench.monitor`. Each fact has an invocation and a line of a log beside
it, which are recorded in both kinds of rounds; in every second round they are exported by OTLP to a
collector on this machine, and checkpoints go to a file. Rounds take turns. Exit codes: 0 measured;
1 something did not arrive, or a target of `bench.monitor` was missed with exports.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import uvloop
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.monitor import TARGET_P50, TARGET_P99, Measured, measure
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.recorder import RecorderClient, protocol
from casemate.recorder.records.rows import Left


class Collector:
    """Counts what arrives, and how late."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.spans = self.lines = 0
        self.late: list[float] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        """Note a request."""
        now = time.time()
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for span in resource.scope_spans[0].spans:
                    self.spans += 1
                    self.late.append(now - span.start_time_unix_nano / 1e9)
        elif path == "/v1/logs":
            request = ExportLogsServiceRequest.FromString(body)
            self.lines += sum(len(r.scope_logs[0].log_records) for r in request.resource_logs)

    def settings(self, folder: Path) -> dict[str, Any]:
        """Return what has all of it exported."""
        return {
            "export": {
                "lake": {
                    "kind": "otlp",
                    "url": f"http://127.0.0.1:{self.server.server_address[1]}",
                    "every": 1.0,
                    "accept": ["private", "plaintext"],
                }
            },
            "checkpoints": {
                "usb": {
                    "kind": "file",
                    "path": str(folder / "kept"),
                    "every": 1.0,
                    "accept": ["same-mount"],
                }
            },
        }


def _record(recorder: RecorderClient, number: int) -> None:
    """Record an invocation with a line, as the gateway does."""
    now, id = time.time(), f"inv_{number + 1:024x}"
    of = {"project": f"p{number % 8}", "function": "orders", "version": 3}
    record = InvocationRecord(
        id=id,
        trigger="http",
        outcome=Outcome.OK,
        status=200,
        started_at=now,
        queued_ms=0.0,
        run_ms=3.0,
        cold=False,
        request_bytes=120,
        response_bytes=80,
        **of,  # type: ignore[arg-type]
    )
    line = LogLine(invocation=id, at=now, level="info", text=f"order {number} was taken", **of)  # type: ignore[arg-type]
    left = Left(record, log=(line,))
    recorder.record(protocol.LEFT, msgspec.msgpack.encode(left))


def _run(rate: int, seconds: int, collector: Collector | None) -> Measured:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        more = {} if collector is None else collector.settings(folder)
        return uvloop.run(measure(folder, rate, seconds, more=more, also=_record))


def _row(name: str, found: list[Measured], seconds: int) -> None:
    monitor = median(each.monitor_cpu for each in found) / seconds
    recorder = median(each.recorder_cpu for each in found) / seconds
    p50, p99 = (median(each.quantile(part) for each in found) for part in (0.5, 0.99))
    memory = max(each.monitor for each in found) / (1 << 20)
    print(
        f"{name:<10} monitor {100 * monitor:5.1f} % of a core, recorder {100 * recorder:5.1f} %; "
        f"fact to alert p50 {1000 * p50:6.1f} ms, p99 {1000 * p99:6.1f} ms; monitor {memory:.1f} MB"
    )


def main() -> int:
    """Run and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.exports", description="Exports.")
    grammar.add_argument("--facts", type=int, default=2000, help="a second (default 2000)")
    grammar.add_argument("--seconds", type=int, default=15, help="for so long (default 15)")
    grammar.add_argument("--rounds", type=int, default=3, help="of each kind (default 3)")
    chosen = grammar.parse_args()
    without: list[Measured] = []
    exporting: list[Measured] = []
    collector, sent = Collector(), 0
    for _ in range(chosen.rounds):
        without.append(_run(chosen.facts, chosen.seconds, None))
        exporting.append(_run(chosen.facts, chosen.seconds, collector))
        sent += chosen.facts * chosen.seconds
    _row("without", without, chosen.seconds)
    _row("exporting", exporting, chosen.seconds)
    late = sorted(collector.late)
    share = min(collector.spans, collector.lines) / sent
    print(f"arrived: {collector.spans} spans, {collector.lines} lines, of about {sent} each")
    if late:
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        print(f"from the end of a call to the collector: p50 {p50:.2f} s, p99 {p99:.2f} s")
    p50s, p99s = (median(each.quantile(part) for each in exporting) for part in (0.5, 0.99))
    met = share > 0.8 and p50s <= TARGET_P50 and p99s <= TARGET_P99
    print(
        "met" if met else "MISSED", ": at most 100 ms and 1 s to the alert, all but the end there"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
