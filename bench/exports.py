"""Measure what exporting costs: processor time and lag, while thousands a second happen.

    python -m bench.exports [--facts PER_SECOND] [--seconds N] [--rounds N]

The processes are those of `bench.monitor`. Each fact has an invocation and a line of a log beside
it, which are recorded in both kinds of rounds; in every second round they are exported by OTLP to a
collector on this machine, and checkpoints go to a file. Rounds take turns. Exit codes: 0 measured;
1 something did not arrive, or a target of `bench.monitor` was missed with exports.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from subprocess import PIPE
from typing import Any

import msgspec
import uvloop
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.figures import percentile
from bench.monitor import TARGET_P50, TARGET_P99, Measured, measure
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.recorder import RecorderClient, protocol
from casemate.recorder.records.rows import Left


class Collector:
    """Counts what arrives, and how late, in a process of its own: it takes no turns from others."""

    def __init__(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "bench.exports", "--collector"]
        self._process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the collector has no output")
        return self._process.stdout.readline()

    def result(self) -> Arrived:
        """End it; return what arrived."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        found = msgspec.json.decode(self._line(), type=Arrived)
        self._process.wait(10)
        return found

    def settings(self, folder: Path) -> dict[str, Any]:
        """Return what has all of it exported."""
        return {
            "export": {
                "lake": {
                    "kind": "otlp",
                    "url": f"http://127.0.0.1:{self.port}",
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


class Arrived(msgspec.Struct):
    """What a collector has got."""

    spans: int = 0
    lines: int = 0
    p50: float = 0.0
    """Seconds from the end of a call."""
    p99: float = 0.0


def collect() -> None:
    """Be the collector, until the input ends."""
    found, late, lock = Arrived(), list[float](), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body, now = self.rfile.read(int(self.headers["content-length"])), time.time()
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            with lock:
                if self.path == "/v1/traces":
                    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                        spans = resource.scope_spans[0].spans
                        found.spans += len(spans)
                        late.extend(now - span.start_time_unix_nano / 1e9 for span in spans)
                elif self.path == "/v1/logs":
                    for owner in ExportLogsServiceRequest.FromString(body).resource_logs:
                        found.lines += len(owner.scope_logs[0].log_records)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    with lock:
        if late:
            found.p50, found.p99 = percentile(late, 0.5), percentile(late, 0.99)
        print(msgspec.json.encode(found).decode(), flush=True)


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
    grammar.add_argument("--collector", action="store_true", help=argparse.SUPPRESS)
    chosen = grammar.parse_args()
    if chosen.collector:
        collect()
        return 0
    without: list[Measured] = []
    exporting: list[Measured] = []
    arrived: list[Arrived] = []
    for _ in range(chosen.rounds):
        without.append(_run(chosen.facts, chosen.seconds, None))
        collector = Collector()
        exporting.append(_run(chosen.facts, chosen.seconds, collector))
        arrived.append(collector.result())
    _row("without", without, chosen.seconds)
    _row("exporting", exporting, chosen.seconds)
    share = min(min(each.spans, each.lines) for each in arrived) / (chosen.facts * chosen.seconds)
    late50, late99 = (median(getattr(each, name) for each in arrived) for name in ("p50", "p99"))
    print(f"spans and lines that arrived within 2 s after the last: {100 * share:.0f} % at least")
    print(f"from the end of a call to the collector: p50 {late50:.2f} s, p99 {late99:.2f} s")
    p50, p99 = (median(each.quantile(part) for each in exporting) for part in (0.5, 0.99))
    met = share > 0.95 and p50 <= TARGET_P50 and p99 <= TARGET_P99
    print("met" if met else "MISSED", "(p50 100 ms and p99 1 s to the alert, 95 % arrived)")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
